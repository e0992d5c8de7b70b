package contract

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Upstream plays the upstream of all cases on one listener. It writes to connections itself, so that it can say what no
// HTTP server would, and keeps what it was sent byte for byte. Each case has a path of its own.
type Upstream struct {
	listener net.Listener

	// Scheme is that under which the endpoint calls it. Default: http.
	Scheme string

	run string // begins the paths, so that no other run has the same

	mu      sync.Mutex
	scripts map[string]*script // by the path of their cases
	open    map[net.Conn]bool
	closed  bool
}

// Listen serves an upstream until it is closed. It takes the listener over.
func Listen(listener net.Listener) *Upstream {
	name := make([]byte, 4)
	_, _ = rand.Read(name) // never fails
	u := &Upstream{
		listener: listener, Scheme: "http", run: hex.EncodeToString(name),
		scripts: map[string]*script{}, open: map[net.Conn]bool{},
	}
	go u.accept()
	return u
}

// Address is the host and port that it listens on.
func (u *Upstream) Address() string { return u.listener.Addr().String() }

// Close ends it, and all connections.
func (u *Upstream) Close() {
	u.listener.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for conn := range u.open {
		conn.Close()
	}
}

func (u *Upstream) accept() {
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

// A script is what the upstream does with the requests of one case, in the order of their arrival.
type script struct {
	path string

	mu         sync.Mutex
	next       []*attempt
	unexpected []received
	via        string // of the last request
}

// An attempt is a reply that is given to one request.
type attempt struct {
	reply   Reply
	hold    <-chan struct{} // what it waits for; nil for nothing
	arrived chan struct{}   // closed once the request has come

	// What is known from then on.
	received received
	upstream string // the URL of the case at the upstream

	mu      sync.Mutex
	replied time.Time // when the reply began to be given; zero before
}

func (a *attempt) hasArrived() bool {
	select {
	case <-a.arrived:
		return true
	default:
		return false
	}
}

func (a *attempt) begins() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replied = time.Now()
}

func (a *attempt) began() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.replied
}

// received is a request as it arrived.
type received struct {
	method, target string
	fields         []field
	body           []byte
	unread         bool // the body
	at             time.Time
}

// begin has the requests of a case answered until end is called.
func (u *Upstream) begin(name string) *script {
	s := &script{path: "/" + u.run + "-" + name}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.scripts[s.path] = s
	return s
}

func (u *Upstream) end(s *script) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.scripts, s.path)
}

// find finds the script that a request is for, and where its path ends in the target: it lies below the path of the
// endpoint's base URL.
func (u *Upstream) find(target string) (s *script, end int) {
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

// expect adds what is done with the requests that come next, once hold is closed if it is not nil.
func (s *script) expect(replies []Reply, hold <-chan struct{}) []*attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := make([]*attempt, len(replies))
	for i, reply := range replies {
		added[i] = &attempt{reply: reply, hold: hold, arrived: make(chan struct{})}
		s.next = append(s.next, added[i])
	}
	return added
}

// surplus returns the requests that came although none was expected, and forgets them. What was expected and did not come
// is not expected any more.
func (s *script) surplus() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.unexpected
	s.unexpected, s.next = nil, nil
	return all
}

func (s *script) lastVia() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.via
}

// take gives the next attempt to a request, or nil.
func (s *script) take(r received, upstream string) *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.via = r.value("Via")
	if len(s.next) == 0 {
		s.unexpected = append(s.unexpected, r)
		return nil
	}
	a := s.next[0]
	s.next = s.next[1:]
	a.received, a.upstream = r, upstream
	close(a.arrived)
	return a
}

// readTimeout ends connections on which a request does not come to its end.
const readTimeout = time.Minute

// serve answers the requests on a connection.
func (u *Upstream) serve(conn net.Conn) {
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
		if s == nil {
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
		if early := s.early(); early {
			r.unread = true
		} else if r.body, err = io.ReadAll(parsed.Body); err != nil {
			return
		}
		a := s.take(r, upstream)
		if a == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nnobody expected this one\r\n")
			continue
		}
		if a.hold != nil {
			<-a.hold
		}
		time.Sleep(time.Duration(a.reply.After))
		a.begins()
		values := values{"{upstream}": upstream, "{path}": s.path}
		_, _ = conn.Write(a.reply.write(r.method, values))
		switch a.reply.Then {
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

// early says whether the next request is answered before its body is read.
func (s *script) early() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.next) > 0 && s.next[0].reply.Early
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

// value is that of the first field with a name.
func (r received) value(name string) string {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
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
