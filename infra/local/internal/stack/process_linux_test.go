package stack_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ownBinaries has the functions run from copies that no other test runs, so that their processes can be told by them.
func ownBinaries(directory string) setting {
	return func(t testing.TB, c *config) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(c.assembly, "asset.*", "bootstrap"))
		if err != nil || len(files) == 0 {
			t.Fatalf("the assembly has the binaries %v, %v", files, err)
		}
		original := c.assembly
		c.assembly = filepath.Join(directory, "assembly")
		if err := os.CopyFS(c.assembly, os.DirFS(original)); err != nil {
			t.Fatal(err)
		}
	}
}

// processes maps the processes that run from a directory to what they are called.
func processes(t testing.TB, directory string) map[int]string {
	t.Helper()
	found := map[int]string{}
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(target, directory+"/") {
			continue
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		found[id] = strings.TrimRight(string(line), "\x00")
	}
	return found
}

func TestProcessesAreToldByTheirNamesAndEndWithTheStack(t *testing.T) {
	t.Parallel()
	u := play(t, status(500), status(500), status(200))
	directory := t.TempDir()
	s := start(t, u.URL, ownBinaries(directory))
	get(t, s, "/")
	names := slices.Sorted(maps.Values(processes(t, directory)))
	if want := []string{"gateway", "proxy-1", "proxy-2", "proxy-3"}; !slices.Equal(names, want) {
		t.Errorf("the processes are called %v, want %v", names, want)
	}
	s.Close()
	if left := processes(t, directory); len(left) != 0 {
		t.Errorf("the processes %v are left", left)
	}
}

func TestClosingAStackThatIsAtWorkLeavesNoProcess(t *testing.T) {
	t.Parallel()
	called := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(called)
		hang(w, r)
	})
	directory := t.TempDir()
	s := start(t, url, ownBinaries(directory))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := caller.Get(s.URL()); err == nil { // it may be told, or cut off
			response.Body.Close()
		}
	}()
	<-called
	s.Close()
	<-ended
	if left := processes(t, directory); len(left) != 0 {
		t.Errorf("the processes %v are left", left)
	}
}

func TestWhatAGatewayThatDiedWasWaitingForIsNotLost(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(respond(http.StatusCreated, "made once"))
	url := serve(t, upstream)
	directory := t.TempDir()
	s := start(t, url, ownBinaries(directory))
	first := make(chan answer)
	go func() { first <- order(t, s, "{}") }()
	<-called
	killGateways(t, directory)
	if a := <-first; a.Status != http.StatusBadGateway {
		t.Errorf("the caller of the gateway that died got %d %s, want 502", a.Status, a.Body)
	}
	close(release)
	if a := order(t, s, "{}"); a.Status != http.StatusCreated || a.Body != "made once" || !a.replayed() {
		t.Errorf("the duplicate got %d %s %v, want the answer to the first request", a.Status, a.Body, a.Header)
	}
}
