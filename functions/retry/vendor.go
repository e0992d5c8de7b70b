package retry

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// vendors holds a file for each vendor that there is a preset for.
//
//go:embed vendors/*.json
var vendors embed.FS

// A preset is what such a file has of a policy. The rest of it is for the documentation and for the tests.
type preset struct {
	Policy Policy `json:"policy"`
}

// Vendor returns the policy for the API of a vendor, named in lower case: airtable, github, stripe and so on; [Vendors] lists
// them, and docs/vendors.md says what each sends and how it is read. It says only what differs from [Default]: by what the
// vendor counts, how its limits are told where HTTP has no field for it, and how far apart attempts are to be. Put your own
// policy over it with [Policy.Over]. Of several vendors, behind one URL, the policy of each is over those of the ones after it.
//
// The error names all vendors that are not known, and lists those that are.
func Vendor(names ...string) (Policy, error) {
	var policy Policy
	var problems []error
	for _, name := range names {
		p, err := vendorPolicy(name)
		if err != nil {
			problems = append(problems, err)
		}
		policy = policy.Over(p)
	}
	if err := errors.Join(problems...); err != nil {
		return Policy{}, err
	}
	return policy, nil
}

func vendorPolicy(name string) (Policy, error) {
	text, err := vendors.ReadFile("vendors/" + name + ".json")
	if err != nil {
		return Policy{}, fmt.Errorf("retry: there is no preset for the vendor %q; there are %s", name, strings.Join(Vendors(), ", "))
	}
	var p preset
	if err := json.Unmarshal(text, &p); err != nil {
		return Policy{}, fmt.Errorf("retry: the preset for %s: %w", name, err)
	}
	return p.Policy, nil
}

// Vendors lists the names that [Vendor] takes, in alphabetical order.
func Vendors() []string {
	files, err := vendors.ReadDir("vendors")
	if err != nil {
		return nil
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(file.Name(), ".json")
	}
	slices.Sort(names)
	return names
}
