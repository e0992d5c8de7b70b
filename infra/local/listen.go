package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// listen listens for the function URL at an address, and for the AWS endpoints on the port after it if that is free, or
// on any other. The endpoints ask nobody for a signature, so they are on a loopback address whatever the URL is on.
func listen(address string) (url, endpoints net.Listener, err error) {
	if url, err = net.Listen("tcp", address); err != nil {
		return nil, nil, withAnotherAddress(err, address)
	}
	host := defaultLoopback
	if listening := url.Addr().(*net.TCPAddr); listening.IP.IsLoopback() {
		host = listening.IP.String()
	}
	_, port, _ := net.SplitHostPort(address)
	if endpoints, err = net.Listen("tcp", addressAfter(net.JoinHostPort(host, port))); err != nil {
		if endpoints, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			url.Close()
			return nil, nil, err
		}
	}
	return url, endpoints, nil
}

// defaultLoopback is this machine's address for itself.
const defaultLoopback = "127.0.0.1"

// listenForConsole listens on a loopback address for the console, which is shown under such addresses only, if the
// function URL does not listen on one: on the URL's port if that is free there, or on any other. It is nil if there is
// no need.
func listenForConsole(url net.Listener) (net.Listener, error) {
	listening := url.Addr().(*net.TCPAddr)
	if listening.IP.IsLoopback() || listening.IP.IsUnspecified() {
		return nil, nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(defaultLoopback, strconv.Itoa(listening.Port)))
	if err != nil {
		listener, err = net.Listen("tcp", net.JoinHostPort(defaultLoopback, "0"))
	}
	return listener, err
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
