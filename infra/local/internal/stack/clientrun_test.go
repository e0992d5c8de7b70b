package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// An errand is what testdata/clients/clients.mjs is told to do.
type errand struct {
	Name      string `json:"name"`
	Base      string `json:"base"` // a URL
	Method    string `json:"method"`
	Retries   bool   `json:"retries"`
	Size      int    `json:"size"`
	KeyLength int    `json:"keyLength"`
}

// A clientOutcome is what a client made of an errand: a value, or an error. Which fields an error has depends on the client.
type clientOutcome struct {
	Resolved bool
	Value    any

	Class, Message string
	Status         int
	Code, Type     any
	Body           any
}

// problem is the name of a problem and its text, from the members of the error in which the client has them, or else from
// the document.
func (o clientOutcome) problem() (code, text string) {
	if document, is := o.Body.(map[string]any); is {
		members, _ := document["error"].(map[string]any)
		code, _ = members["code"].(string)
		text, _ = members["message"].(string)
		return code, text
	}
	code, _ = o.Code.(string)
	return code, o.Message
}

// clientsDirectory holds the list of clients, with a lock file, and the script that runs them.
const clientsDirectory = "testdata/clients"

// clientTimeout ends a client that hangs.
const clientTimeout = 2 * time.Minute

// runClient has a client carry out errands, all at once, and returns the outcomes by name.
func runClient(t *testing.T, modules, client string, errands []errand) map[string]clientOutcome {
	t.Helper()
	script, err := os.Open(filepath.Join(clientsDirectory, "clients.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	list, err := json.Marshal(errands)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	// The script comes from standard input, so that it finds the modules in the working directory.
	command := exec.CommandContext(ctx, "node", "--input-type=module", "-", client, string(list))
	command.Dir, command.Stdin = modules, script
	command.Env = []string{"PATH=" + os.Getenv("PATH")} // and none of the variables that clients read, such as HTTP_PROXY
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("node clients.mjs %s: %v\n%s%s", client, err, complaints.String(), output)
	}
	outcomes := map[string]clientOutcome{}
	for line := range bytes.Lines(output) {
		var read struct {
			Name string
			clientOutcome
		}
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatalf("%s wrote %q: %v", client, line, err)
		}
		outcomes[read.Name] = read.clientOutcome
	}
	return outcomes
}
