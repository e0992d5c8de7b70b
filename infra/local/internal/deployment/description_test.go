package deployment_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stackDescription is what CloudFormation says of a stack.
type stackDescription struct {
	Status  string
	Outputs map[string]string

	// Resources maps logical ids to physical ones.
	Resources map[string]string
}

// describe asks CloudFormation for the stack. It is nil if there is none.
func (a *account) describe(t *testing.T, stack string) *stackDescription {
	t.Helper()
	var stacks struct {
		Stacks []struct {
			StackStatus string
			Outputs     struct {
				Member []struct{ OutputKey, OutputValue string } `xml:"member"`
			}
		} `xml:"DescribeStacksResult>Stacks>member"`
	}
	if err := a.query(t, "cloudformation", "DescribeStacks", map[string]string{"StackName": stack}, &stacks); err != nil {
		if strings.Contains(err.Error(), "does not exist") {
			return nil
		}
		t.Fatal(err)
	}
	d := &stackDescription{Status: stacks.Stacks[0].StackStatus, Outputs: map[string]string{}, Resources: map[string]string{}}
	for _, output := range stacks.Stacks[0].Outputs.Member {
		d.Outputs[output.OutputKey] = output.OutputValue
	}
	var resources struct {
		Resources []struct{ LogicalResourceId, PhysicalResourceId string } `xml:"DescribeStackResourcesResult>StackResources>member"`
	}
	if err := a.query(t, "cloudformation", "DescribeStackResources", map[string]string{"StackName": stack}, &resources); err != nil {
		t.Fatal(err)
	}
	for _, resource := range resources.Resources {
		d.Resources[resource.LogicalResourceId] = resource.PhysicalResourceId
	}
	return d
}

// A template is what the CDK wrote, as far as what CloudFormation says is compared with it.
type template struct {
	Resources map[string]struct {
		Type       string
		Properties struct {
			Action         string
			PolicyName     string
			PolicyDocument struct{ Statement []struct{ Action texts } }
			Roles          []struct{ Ref string }
		}
		DeletionPolicy string
	}
}

func readTemplate(t *testing.T, directory string) template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, stackName+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var declared template
	if err := json.Unmarshal(text, &declared); err != nil {
		t.Fatal(err)
	}
	return declared
}
