package redisstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a redis-server or valkey-server, started once for all tests of the package that ask for it.
var server struct {
	once    sync.Once
	address string
	problem string
	process *os.Process
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.process != nil {
		server.process.Kill()
		server.process.Wait()
	}
	os.Exit(code)
}

// do has the server carry out a command, or skips the test where there is none.
func do(t testing.TB) func(ctx context.Context, command ...string) (any, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no server is started")
	}
	server.once.Do(startServer)
	if server.problem != "" {
		t.Skip(server.problem)
	}
	return command
}

func startServer() {
	path, err := exec.LookPath("valkey-server")
	if err != nil {
		path, err = exec.LookPath("redis-server")
	}
	if err != nil {
		server.problem = "neither valkey-server nor redis-server is installed (apt-get install redis-server), so the store is tested in package clients only, with miniredis"
		return
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		server.problem = err.Error()
		return
	}
	server.address = free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(server.address)
	process := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", os.TempDir())
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		server.problem = err.Error()
		return
	}
	server.process = process.Process
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if pong, err := command(context.Background(), "PING"); err == nil && pong == "PONG" {
			return
		}
		if time.Now().After(deadline) {
			server.problem = path + " does not answer after 20 seconds"
			return
		}
	}
}

// command sends one command over a connection of its own, in the protocol RESP2, and returns its reply.
func command(ctx context.Context, words ...string) (any, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", server.address)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(connection, request.String()); err != nil {
		return nil, err
	}
	return reply(bufio.NewReader(connection))
}

func reply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	kind, rest := line[0], line[1:]
	n, _ := strconv.Atoi(rest)
	switch {
	case kind == '-':
		return nil, errors.New(rest)
	case kind == '+':
		return rest, nil
	case kind == ':':
		return int64(n), nil
	case n < 0:
		return nil, nil
	case kind == '$':
		text := make([]byte, n+len("\r\n"))
		_, err := io.ReadFull(r, text)
		return string(text[:n]), err
	default:
		list := make([]any, n)
		for i := range list {
			if list[i], err = reply(r); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
}
