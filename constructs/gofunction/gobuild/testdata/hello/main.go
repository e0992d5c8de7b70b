// Command hello is a handler that compiles fast.
package main

import "runtime"

func main() { println(runtime.GOARCH) }
