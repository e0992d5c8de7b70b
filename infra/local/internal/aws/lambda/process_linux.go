package lambda

import "syscall"

// processAttributes puts a process into its own group and has the kernel kill it when the host dies, however that
// happens.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
