//go:build unix && !linux

package lambda

import "syscall"

// processAttributes puts a process into its own group. There is no signal for the death of a parent here: a function
// ends because its Runtime API is gone, at its next request for work.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
