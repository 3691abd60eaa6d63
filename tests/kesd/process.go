package kesd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopGrace is how long a process may take to end by itself after SIGTERM before it is killed. `kes` drains open
// requests for at most its route timeout of 15 s; idle connections it closes at once.
const stopGrace = 20 * time.Second

// Process is a child in a process group of its own. It ends with the test that started it, on every path: by
// t.Cleanup, and by the kernel when the test program itself dies of a panic, a time limit or a signal.
type Process struct {
	Name string

	cmd  *exec.Cmd
	log  *output
	done chan struct{} // closed when the process has been reaped
}

// Run starts `cmd`, collects its output, and prints its end when the test fails. The process is killed when the test
// ends.
func Run(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Name: name, cmd: cmd, log: &output{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = 5 * time.Second // for a stray grandchild that holds the pipe
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The parent-death signal is sent when the *thread* that started the child ends: stay on one until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("---- last output of %s (pid %d) ----\n%s", name, cmd.Process.Pid, p.log.tail(16<<10))
		}
	})
	return p
}

// Pid is the process id of the child.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Output is all the child has written so far, to both standard output and standard error.
func (p *Process) Output() string { return p.log.tail(-1) }

// Exited reports whether the child has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// AwaitExit waits until the child has ended by itself, and reports whether it did within `limit`.
func (p *Process) AwaitExit(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// Stop asks the child to end (SIGTERM), kills it if it does not, and reports whether it ended by itself, with status 0.
func (p *Process) Stop() bool {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if !p.AwaitExit(stopGrace) {
		p.Kill()
	}
	return p.cmd.ProcessState.Success()
}

// Kill ends the child and its process group at once, and waits for it.
func (p *Process) Kill() {
	if !p.Exited() {
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	}
	<-p.done
}

// Await polls `ready` until it holds. It fails the test when the child ends or after `limit`.
func (p *Process) Await(t testing.TB, limit time.Duration, ready func() error) {
	t.Helper()
	if err := p.await(limit, ready); err != nil {
		t.Fatalf("%s is not ready: %v", p.Name, err)
	}
}

func (p *Process) await(limit time.Duration, ready func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if p.Exited() {
			return errExited
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(25 * time.Millisecond) // between two polls
	}
}

// output collects what a child writes. Both of its streams go to one file descriptor, so lines keep their order.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// tail returns the last `n` bytes, all of them when n is negative.
func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf.Bytes()
	if n >= 0 && len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// Tool returns the path of a tool of the tool cache (tests/tools/install). When it is missing the test is skipped, or
// fails if the variable KES_REQUIRE_TOOLS is set, as it is in CI: there a skip would mean that nothing is tested.
func Tool(t testing.TB, name string) string {
	t.Helper()
	cache := os.Getenv("KES_CACHE")
	if cache == "" {
		user := os.Getenv("XDG_CACHE_HOME")
		if user == "" {
			user = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		cache = filepath.Join(user, "kes")
	}
	path := filepath.Join(cache, "tools", name)
	if _, err := os.Stat(path); err != nil {
		Missing(t, name, "run tests/tools/install "+name)
	}
	return path
}

// Bin returns the path of the `kes` program under test, from the variable KES_BIN. Missing: as for Tool.
func Bin(t testing.TB) string {
	t.Helper()
	bin := os.Getenv("KES_BIN")
	if bin == "" {
		Missing(t, "kes", "set KES_BIN to the path of the program")
	}
	path, err := filepath.Abs(bin)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("KES_BIN: %v", err)
	}
	return path
}

// Missing skips a test for want of something, or fails it where KES_REQUIRE_TOOLS is set.
func Missing(t testing.TB, name, remedy string) {
	t.Helper()
	if os.Getenv("KES_REQUIRE_TOOLS") != "" {
		t.Fatalf("no %s: %s", name, remedy)
	}
	t.Skipf("skipped: no %s (%s)", name, remedy)
}
