package cloudformation

import (
	"encoding/json"
	"strings"
)

// constructs is what a cloud assembly says of constructs, by their paths, each of which begins with a slash.
type constructs map[string][]struct {
	Type string
	Data json.RawMessage
}

// paths maps logical ids to the paths of their constructs below that of the stack, less the name of the construct that stands
// for the resource itself: Orders/gateway.
func (all constructs) paths(stack string) map[string]string {
	paths := map[string]string{}
	for path, entries := range all {
		below, in := strings.CutPrefix(path, "/"+stack+"/")
		for _, entry := range entries {
			var id string
			if in && entry.Type == "aws:cdk:logicalId" && json.Unmarshal(entry.Data, &id) == nil {
				paths[id] = strings.TrimSuffix(below, "/Resource")
			}
		}
	}
	return paths
}
