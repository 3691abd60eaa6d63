package soak

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// How long after a fault errors are still put down to it: what has failed is tried anew.
const aftermath = 2 * time.Second

// fault is whether something is broken on purpose.
type fault struct {
	mu    sync.Mutex
	now   bool
	ended time.Time
	times int
}

// since reports whether there was a fault at any time from `start` on.
func (f *fault) since(start time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now || f.ended.Add(aftermath).After(start)
}

func (f *fault) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times
}

func (f *fault) set(now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = now
	if now {
		f.times++
	} else if f.times > 0 {
		f.ended = time.Now()
	}
}

// faults takes the keystore away, or the descriptors, for two seconds at a time.
func (s *soak) faults(ctx context.Context) {
	kinds := []func() func(){s.keysGone, s.fewDescriptors}
	for number := 0; pause(ctx, faultEvery); number++ {
		s.fault.set(true)
		mend := kinds[number%len(kinds)]()
		pause(ctx, 2*time.Second)
		mend()
		s.fault.set(false)
	}
}

// keysGone takes the folder of keys away. A file stands in its place: a reload would make the folder anew.
func (s *soak) keysGone() func() {
	away := s.keyDir + "-away"
	must := func(err error) {
		if err != nil {
			s.t.Error(err)
		}
	}
	must(os.Rename(s.keyDir, away))
	must(os.WriteFile(s.keyDir, nil, 0o600))
	return func() {
		must(os.Remove(s.keyDir))
		must(os.Rename(away, s.keyDir))
	}
}

// fewDescriptors leaves the server as many descriptors as it has now: it can open and accept nothing.
func (s *soak) fewDescriptors() func() {
	old := s.limit(nil)
	s.limit(&syscall.Rlimit{Cur: uint64(s.usage().descriptors), Max: old.Max})
	return func() { s.limit(&old) }
}

// limit sets the server's limit of descriptors, if `limit` says so, and returns what it was.
func (s *soak) limit(limit *syscall.Rlimit) syscall.Rlimit {
	var old syscall.Rlimit
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(s.server.Pid()), syscall.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(limit)), uintptr(unsafe.Pointer(&old)), 0, 0)
	if errno != 0 {
		s.t.Errorf("limit of descriptors: %v", errno)
	}
	return old
}
