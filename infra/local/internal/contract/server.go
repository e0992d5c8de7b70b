package contract

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Server is an Upstream on this machine. It writes to connections itself, so that it can say what no HTTP server would, and
// keeps what it was sent byte for byte.
type Server struct {
	listener net.Listener

	// Scheme is that under which the endpoint calls it. Default: http.
	Scheme string

	run string // begins the paths, so that no other run has the same

	mu      sync.Mutex
	scripts map[string]*serverScript // by the path of their cases
	open    map[net.Conn]bool
	closed  bool
}

// Listen serves an upstream until it is closed. It takes the listener over.
func Listen(listener net.Listener) *Server {
	u := &Server{
		listener: listener, Scheme: "http", run: runName(), scripts: map[string]*serverScript{}, open: map[net.Conn]bool{},
	}
	go u.accept()
	return u
}

// Address is the host and port that it listens on.
func (u *Server) Address() string { return u.listener.Addr().String() }

// Close ends it, and all connections.
func (u *Server) Close() {
	u.listener.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for conn := range u.open {
		conn.Close()
	}
}

func (u *Server) accept() {
	for {
		conn, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		if u.closed {
			conn.Close()
		} else {
			u.open[conn] = true
		}
		u.mu.Unlock()
		go func() {
			u.serve(conn)
			conn.Close()
			u.mu.Lock()
			delete(u.open, conn)
			u.mu.Unlock()
		}()
	}
}

// unfit says nothing: whatever a case has the upstream do can be done on a connection.
func (u *Server) unfit(*Case) string { return "" }

// A serverScript is a script on this machine.
type serverScript struct {
	server *Server
	at     string

	mu    sync.Mutex
	scene *serverScene // nil before the first one
}

// A serverScene is a scene on this machine.
type serverScene struct {
	replies []Reply
	hold    chan struct{} // nil if nobody is held
	first   chan struct{} // closed once a request has come

	mu      sync.Mutex
	arrived []*arrival
}

func (u *Server) begin(name string) script {
	s := &serverScript{server: u, at: "/" + u.run + "-" + name}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.scripts[s.at] = s
	return s
}

func (s *serverScript) path() string { return s.at }

func (s *serverScript) end() {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	delete(s.server.scripts, s.at)
}

func (s *serverScript) expect(_ context.Context, replies []Reply, held bool) (scene, error) {
	next := &serverScene{replies: replies, first: make(chan struct{})}
	if held {
		next.hold = make(chan struct{})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scene = next
	return next, nil
}

// now is the scene that requests come to, or nil.
func (s *serverScript) now() *serverScene {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scene
}

func (c *serverScene) begins(ctx context.Context) error {
	select {
	case <-c.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *serverScene) release(context.Context) error {
	if c.hold != nil {
		close(c.hold)
	}
	return nil
}

func (c *serverScene) arrivals(context.Context) ([]arrival, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]arrival, len(c.arrived))
	for i, a := range c.arrived {
		all[i] = *a
	}
	return all, nil
}

// early says whether the next request is answered before its body is read.
func (c *serverScene) early() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.arrived)
	return n < len(c.replies) && c.replies[n].Early
}

// take adds a request, and gives the reply to it, or nil if it was not expected.
func (c *serverScene) take(r received, upstream string) (*arrival, *Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &arrival{received: r, upstream: upstream}
	c.arrived = append(c.arrived, a)
	n := len(c.arrived)
	if n == 1 {
		close(c.first)
	}
	if n > len(c.replies) {
		return a, nil
	}
	return a, &c.replies[n-1]
}

// begin notes that the reply to a request begins to be given.
func (c *serverScene) begin(a *arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.replied = time.Now()
}

// find finds the script that a request is for, and where its path ends in the target: it lies below the path of the
// endpoint's base URL.
func (u *Server) find(target string) (s *serverScript, end int) {
	path, _, _ := strings.Cut(target, "?")
	at := strings.Index(path, "/"+u.run+"-")
	if at < 0 {
		return nil, 0
	}
	name, _, _ := strings.Cut(path[at+1:], "/")
	end = at + 1 + len(name)
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.scripts[path[at:end]], end
}

// readTimeout ends connections on which a request does not come to its end.
const readTimeout = time.Minute

// serve answers the requests on a connection.
func (u *Server) serve(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(readTimeout))
		head, err := readHead(reader)
		if err != nil {
			return
		}
		r := parseHead(head)
		r.at = time.Now()
		s, end := u.find(r.target)
		var now *serverScene
		if s != nil {
			now = s.now()
		}
		if now == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		upstream := u.Scheme + "://" + r.value("Host") + r.target[:end]
		r.target = r.target[end:]

		// What net/http makes of the head says how long the body is.
		parsed, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), reader)))
		if err != nil {
			return
		}
		if strings.EqualFold(r.value("Expect"), "100-continue") {
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if early := now.early(); early {
			r.unread = true
		} else if r.body, err = io.ReadAll(parsed.Body); err != nil {
			return
		}
		a, reply := now.take(r, upstream)
		if reply == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nnobody expected this one\r\n")
			continue
		}
		if now.hold != nil {
			<-now.hold
		}
		time.Sleep(time.Duration(reply.After))
		now.begin(a)
		_, _ = conn.Write(reply.write(r.method, values{"{upstream}": upstream, "{path}": s.at}))
		switch reply.Then {
		case "close":
			return
		case "reset":
			reset(conn)
			return
		case "stall":
			_, _ = io.Copy(io.Discard, conn) // until they leave
			return
		}
		if r.unread {
			_, _ = io.Copy(io.Discard, parsed.Body)
			return
		}
	}
}

// reset ends a connection as a program does that dies.
func reset(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if direct, ok := conn.(*net.TCPConn); ok {
		_ = direct.SetLinger(0)
	}
	conn.Close()
}

// maxHead is the most that a header section may take.
const maxHead = 1 << 20

// readHead reads a request up to the empty line.
func readHead(reader *bufio.Reader) ([]byte, error) {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := reader.ReadSlice('\n')
		head = append(head, line...)
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if len(head) > maxHead {
			return nil, fmt.Errorf("the header section is longer than %d bytes", maxHead)
		}
	}
	return head, nil
}

func parseHead(head []byte) received {
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
	var r received
	r.method, r.target, _ = strings.Cut(lines[0], " ")
	r.target, _, _ = strings.Cut(r.target, " ")
	for _, line := range lines[1:] {
		r.fields = append(r.fields, fieldOf(line))
	}
	return r
}

// write gives the bytes of a reply to a request of a method.
func (r *Reply) write(method string, v values) []byte {
	if r.Raw != nil {
		return []byte(v.lines(r.Raw))
	}
	if r.Status == 0 {
		return nil
	}
	reason := r.Reason
	if reason == "" {
		reason = http.StatusText(r.Status)
	}
	body := r.Body.bytes(v)
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.Status, reason)
	sized := false
	for _, line := range r.Fields {
		b.WriteString(v.text(line) + "\r\n")
		name := strings.ToLower(fieldOf(string(line)).name)
		sized = sized || name == "content-length" || name == "transfer-encoding"
	}
	without := method == http.MethodHead || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified
	if !sized && !without {
		length := len(body)
		if r.Then != "" {
			length += 100 // which do not come
		}
		b.WriteString("Content-Length: " + strconv.Itoa(length) + "\r\n")
	}
	b.WriteString("\r\n")
	if !without {
		b.Write(body)
	}
	return b.Bytes()
}
