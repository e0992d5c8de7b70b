package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// listen listens for the function URL at an address, and for the AWS endpoints on the port after it if that is free, or
// on any other.
func listen(address string) (url, endpoints net.Listener, err error) {
	if url, err = net.Listen("tcp", address); err != nil {
		return nil, nil, withAnotherAddress(err, address)
	}
	if endpoints, err = net.Listen("tcp", addressAfter(address)); err != nil {
		host, _, _ := net.SplitHostPort(address)
		if endpoints, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			url.Close()
			return nil, nil, err
		}
	}
	return url, endpoints, nil
}

// addressAfter is the address with the next port. Port 0 stands for any where there is none.
func addressAfter(address string) string {
	host, port, _ := net.SplitHostPort(address)
	n, err := strconv.Atoi(port)
	if err != nil || n == 0 || n == 65535 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// withAnotherAddress adds an address to try to an error that says that this one is in use.
func withAnotherAddress(err error, address string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("%w\n%s is in use; choose another address with ADDR=127.0.0.1:%s", err, address, anotherPort(address))
}

// anotherPort is a port to try in the place of that of an address.
func anotherPort(address string) string {
	_, port, _ := net.SplitHostPort(address)
	n, err := strconv.Atoi(port)
	if err != nil || n+10 > 65535 {
		return "0"
	}
	return strconv.Itoa(n + 10)
}
