//go:build !race

package main

import "encoding/json"

// A template is a CloudFormation template as far as the tests look into it.
type template struct {
	Resources map[string]resource

	text []byte
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
}

func readTemplate(text []byte) template {
	t := template{text: text}
	if err := json.Unmarshal(text, &t); err != nil {
		panic(err)
	}
	return t
}

// ofType are the resources of a type, by their ids.
func (t template) ofType(name string) map[string]resource {
	found := map[string]resource{}
	for id, r := range t.Resources {
		if r.Type == name {
			found[id] = r
		}
	}
	return found
}

// proxies are the functions that are told that they are a proxy.
func (t template) proxies() map[string]resource {
	found := map[string]resource{}
	for id, r := range t.ofType("AWS::Lambda::Function") {
		if r.at("Environment", "Variables", "PROXY_NAME") != nil {
			found[id] = r
		}
	}
	return found
}

// at finds a value in the properties by its path.
func (r resource) at(path ...string) any {
	var value any = r.Properties
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}
