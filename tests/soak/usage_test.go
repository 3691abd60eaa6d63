package soak

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// usage is what the server uses of its machine.
type usage struct {
	descriptors int
	threads     int
	memory      int // resident, in bytes
}

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d MiB", u.descriptors, u.threads, u.memory>>20)
}

type row struct {
	when  string
	usage usage
}

func (s *soak) usage() usage {
	proc := fmt.Sprintf("/proc/%d", s.server.Pid())
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		s.t.Errorf("the server is gone: %v", err)
		return usage{}
	}
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		s.t.Errorf("the server is gone: %v", err)
	}
	field := func(name string) int {
		for line := range strings.SplitSeq(string(status), "\n") {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				n, _ := strconv.Atoi(strings.Fields(value)[0])
				return n
			}
		}
		return 0
	}
	return usage{descriptors: len(fds), threads: field("Threads"), memory: field("VmRSS") << 10}
}

// settle waits, with all clients gone, until the server has let go of what they used: until descriptors and threads are
// those of `like`, or without it until they have been the same for long enough for idle threads to end.
func (s *soak) settle(like *usage) usage {
	s.closeIdle()
	deadline := time.Now().Add(settleLimit)
	last, since := s.usage(), time.Now()
	for time.Now().Before(deadline) {
		now := s.usage()
		if now.descriptors != last.descriptors || now.threads != last.threads {
			since = time.Now()
		}
		last = now
		quiet := time.Since(since)
		if like == nil && quiet > 12*time.Second {
			break
		}
		if like != nil && quiet > 2*time.Second && now.descriptors == like.descriptors && now.threads == like.threads {
			break
		}
		time.Sleep(250 * time.Millisecond) // between two polls
	}
	return last
}

// count is how often something was done, and how it ended.
type count struct {
	done       int
	excused    int // failed while there was a fault
	unexpected int
	first      string // of the unexpected errors
}

type counts struct {
	mu   sync.Mutex
	kind map[string]count
}

// note counts one attempt. `err` is nil if it went well; it is excused if there was a fault at any time since `start`.
func (s *soak) note(kind string, start time.Time, err error) {
	faulty := s.fault.since(start)
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	c := s.counts.kind[kind]
	switch {
	case err == nil:
		c.done++
	case faulty:
		c.excused++
	default:
		c.unexpected++
		if c.first == "" {
			c.first = err.Error()
			s.t.Logf("%s: %v", kind, err)
		}
	}
	s.counts.kind[kind] = c
}

func (c *counts) all() map[string]count {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]count, len(c.kind))
	for kind, count := range c.kind {
		all[kind] = count
	}
	return all
}

func (c *counts) String() string {
	var done, excused, unexpected int
	for _, count := range c.all() {
		done += count.done
		excused += count.excused
		unexpected += count.unexpected
	}
	return fmt.Sprintf("%d done, %d failed by a fault, %d unexpectedly", done, excused, unexpected)
}

// print writes the result as tables in Markdown.
func (s *soak) print(total time.Duration, rows []row) {
	fmt.Printf("\n%s of churn, %d reloads, %d faults\n\n", total, s.reloads, s.fault.count())
	fmt.Println("| | descriptors | threads | memory |\n|---|---|---|---|")
	for _, r := range rows {
		memory := float64(r.usage.memory) / (1 << 20)
		fmt.Printf("| %s | %d | %d | %.1f MiB |\n", r.when, r.usage.descriptors, r.usage.threads, memory)
	}
	fmt.Println("\n| | done | failed by a fault | unexpected errors |\n|---|---|---|---|")
	all := s.counts.all()
	kinds := make([]string, 0, len(all))
	for kind := range all {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		c := all[kind]
		fmt.Printf("| %s | %d | %d | %d |\n", kind, c.done, c.excused, c.unexpected)
	}
	fmt.Println()
}
