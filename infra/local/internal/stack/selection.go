package stack

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// A Selection says what is run of a stack that has several RetryingApiProxy, or other resources. Its zero value is for one with
// a single RetryingApiProxy.
type Selection struct {
	// Instance is the one that is served at Config.Listener: the path of the construct below the stack's, such as Orders, or
	// what the logical id of its function URL begins with. All others are served, too. Default: the only one; where there is
	// none, the only function URL.
	Instance string

	// Skip names what is left out, as cloudformation.Options has it.
	Skip []string

	// Listen listens for a function URL that is not the chosen one. Default: on a free port of 127.0.0.1.
	Listen func() (net.Listener, error)

	// InstanceBy and SkipBy are how a caller writes the two, with %s in the place of the name, for the errors that say what to
	// do. Empty leaves it out.
	InstanceBy, SkipBy string
}

// Load reads the cloud assembly in dir into c.Template, for a stack that is served at c.Listener, and listens for its other
// function URLs, if it has some. Start takes these listeners over.
func (c *Config) Load(dir string, selected Selection) error {
	options := cloudformation.Options{QueueBaseURL: queueBaseURL, Skip: selected.Skip, SkipBy: selected.SkipBy}
	template, err := cloudformation.Load(dir, options) // to see which URLs there are
	if err != nil {
		return err
	}
	chosen, err := selected.choose(template)
	if err != nil {
		return err
	}
	listen := selected.Listen
	if listen == nil {
		listen = func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	}
	options.FunctionURLs = map[string]string{chosen.ID: urlOf(c.Listener) + "/"}
	c.chosen, c.others = chosen.ID, map[string]net.Listener{}
	for _, url := range template.URLs {
		if url.ID == chosen.ID {
			continue
		}
		listener, err := listen()
		if err != nil {
			c.Close()
			return err
		}
		c.others[url.ID], options.FunctionURLs[url.ID] = listener, urlOf(listener)+"/"
	}
	if c.Template, err = cloudformation.Load(dir, options); err != nil {
		c.Close()
	}
	return err
}

// Close closes what Load listens at. Start, and the Close of what it starts, do so, too: it is for those who do not come so far.
func (c *Config) Close() {
	for _, listener := range c.others {
		listener.Close()
	}
}

// choose finds the function URL that is served at Config.Listener.
func (selected Selection) choose(template *cloudformation.Stack) (cloudformation.URL, error) {
	named := newNames(template)
	if selected.Instance != "" {
		found, err := named.find(selected.Instance)
		if err != nil {
			return cloudformation.URL{}, err
		}
		return found, nil
	}
	candidates := named.gateways()
	if len(candidates) == 0 {
		candidates = template.URLs
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	if len(candidates) == 0 {
		return cloudformation.URL{}, errors.New("stack: the template has no function URL that can be served")
	}
	var all []string
	for _, url := range candidates {
		all = append(all, named.of(url))
	}
	choose := ""
	if selected.InstanceBy != "" {
		choose = fmt.Sprintf(", such as by "+selected.InstanceBy, all[0])
	}
	return cloudformation.URL{}, fmt.Errorf("stack: the template has %d function URLs, those of %s; choose the one that is served first%s", len(candidates), strings.Join(all, ", "), choose)
}

// names tells the function URLs of a template apart.
type names struct {
	template  *cloudformation.Stack
	instances []*Instance
}

func newNames(template *cloudformation.Stack) names { return names{template, instancesOf(template)} }

// gateways are the function URLs of instances.
func (n names) gateways() []cloudformation.URL {
	var urls []cloudformation.URL
	for _, url := range n.template.URLs {
		if n.instance(url) != nil {
			urls = append(urls, url)
		}
	}
	return urls
}

// instance is the one that a URL is of, or nil.
func (n names) instance(url cloudformation.URL) *Instance {
	for _, instance := range n.instances {
		if instance.Gateway == url.FunctionName {
			return instance
		}
	}
	return nil
}

// of is the name of a URL: that of its instance, or the path or the name of another function.
func (n names) of(url cloudformation.URL) string {
	if instance := n.instance(url); instance != nil {
		return instance.Name
	}
	for _, f := range n.template.Functions {
		if f.Name == url.FunctionName && f.Path != "" {
			return f.Path
		}
	}
	return url.FunctionName
}

// find is the one URL that a name stands for.
func (n names) find(name string) (cloudformation.URL, error) {
	var all []string
	for _, url := range n.template.URLs {
		all = append(all, n.of(url))
	}
	for _, fits := range []func(cloudformation.URL) bool{
		func(url cloudformation.URL) bool { return n.of(url) == name },
		func(url cloudformation.URL) bool { return url.Path != "" && strings.HasPrefix(url.Path+"/", name+"/") },
		func(url cloudformation.URL) bool { return strings.HasPrefix(url.ID, name) },
	} {
		var found []cloudformation.URL
		for _, url := range n.template.URLs {
			if fits(url) {
				found = append(found, url)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			break
		}
	}
	slices.Sort(all)
	return cloudformation.URL{}, fmt.Errorf("stack: %q does not name one of the function URLs; there are those of %s", name, strings.Join(all, ", "))
}
