//go:build !linux

package moto

import "syscall"

// ending leaves the end of the server to Main: only Linux ends it with tests that were killed.
func ending() *syscall.SysProcAttr { return nil }
