package moto

import "syscall"

// ending has the server end with the tests, however those end.
func ending() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
