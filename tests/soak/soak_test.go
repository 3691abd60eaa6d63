// Package soak runs a server under churn for minutes: connections that come, go, stall and break off, keys that are made,
// used and deleted, reloads, faults, readers of logs. At the end the server must be what it was at the beginning: as many
// descriptors, as many threads, no more memory.
//
// make soak runs it; KES_SOAK is how many seconds of churn there are. Without that variable it is skipped.
package soak

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kes/tests/kesd"
)

const (
	// How much more memory than after the warm-up the server may have at the end: what its allocator keeps varies.
	memorySlack = 8 << 20
	// How long the server may take to let go of what the churn used: idle threads for blocking work live 10 s.
	settleLimit = 60 * time.Second
	// Between two reloads, and between two faults.
	reloadEvery = 3 * time.Second
	faultEvery  = 15 * time.Second
	sampleEvery = 10 * time.Second
)

func TestSoak(t *testing.T) {
	seconds, err := strconv.Atoi(os.Getenv("KES_SOAK"))
	if err != nil {
		t.Skip("skipped: KES_SOAK is not set to a number of seconds")
	}
	total := time.Duration(seconds) * time.Second
	server := kesd.Start(t, kesd.Config{Files: true})
	s := newSoak(t, server)
	s.writeConfig(0)
	s.reload()
	s.prepare()
	rows := []row{{"at start", s.settle(nil)}}
	start := rows[0].usage

	s.churn(total / 5)
	warm := s.settle(&start)
	rows = append(rows, row{"after the warm-up", warm})
	peak := s.churn(total - total/5)
	rows = append(rows, row{"highest under churn", peak})
	end := s.settle(&start)
	rows = append(rows, row{"at the end", end})
	s.checkKeys()
	s.print(total, rows)

	if end.descriptors != start.descriptors {
		t.Errorf("descriptors: %d at start, %d at the end", start.descriptors, end.descriptors)
	}
	if end.threads != start.threads {
		t.Errorf("threads: %d at start, %d at the end", start.threads, end.threads)
	}
	if end.memory > warm.memory+memorySlack {
		t.Errorf("memory: %d KiB after the warm-up, %d KiB at the end", warm.memory>>10, end.memory>>10)
	}
	if peak.descriptors <= start.descriptors+10 {
		t.Error("there was no churn to speak of")
	}
	for kind, c := range s.counts.all() {
		if c.unexpected > 0 {
			t.Errorf("%s: %d unexpected errors, the first: %s", kind, c.unexpected, c.first)
		}
		if c.done == 0 {
			t.Errorf("%s: never done", kind)
		}
	}
	output := server.Output()
	completed := strings.Count(output, "Reloading configuration after SIGHUP signal completed.")
	if completed < int(total/reloadEvery)/2 {
		t.Errorf("%d reloads were completed, of %d", completed, s.reloads)
	}
	if strings.Contains(output, "panicked") {
		t.Error("something panicked")
	}
	if !server.Stop() {
		t.Error("the server did not end by itself, or with an error")
	}
}

// churn runs everything at once for `length`, and returns the highest usage that was seen.
func (s *soak) churn(length time.Duration) usage {
	ctx, cancel := context.WithTimeout(s.t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	work := func(count int, run func(context.Context)) {
		for range count {
			all.Go(func() { run(ctx) })
		}
	}
	work(3, func(ctx context.Context) { s.keys(ctx, s.http2(s.server.Admin)) })
	work(2, func(ctx context.Context) { s.keys(ctx, s.http1(s.server.Admin)) })
	work(2, s.connections)
	work(2, s.governed)
	work(2, s.cancelled)
	work(2, s.broken)
	work(4, s.halfOpen)
	work(4, s.logs)
	work(1, s.reloader)
	work(1, s.faults)

	var peak usage
	all.Go(func() {
		for pause(ctx, sampleEvery/10) {
			now := s.usage()
			peak.descriptors = max(peak.descriptors, now.descriptors)
			peak.threads = max(peak.threads, now.threads)
			peak.memory = max(peak.memory, now.memory)
		}
	})
	all.Go(func() {
		for pause(ctx, sampleEvery) {
			s.t.Logf("%s, %s", s.usage(), s.counts)
		}
	})
	all.Wait()
	return peak
}

// reloader changes policies and reloads, again and again.
func (s *soak) reloader(ctx context.Context) {
	for generation := 1; pause(ctx, reloadEvery); generation++ {
		s.writeConfig(generation)
		s.reload()
	}
}

func (s *soak) reload() {
	s.reloads++
	if err := syscall.Kill(s.server.Pid(), syscall.SIGHUP); err != nil {
		s.t.Errorf("reload: %v", err)
	}
}
