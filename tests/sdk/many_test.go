package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/minio/kms-go/kes"
)

// maxAnswer is the most that the SDK reads of an answer: a longer list is cut, and fails.
const maxAnswer = 1 << 20

// TestManyKeysAreListedInOrder makes 1,500 keys through the SDK, more than the predecessor's page of 1,024.
func TestManyKeysAreListedInOrder(t *testing.T) {
	const keys = 1500
	for _, files := range []bool{false, true} {
		t.Run(fmt.Sprintf("files=%v", files), func(t *testing.T) {
			s := start(t, files)
			ctx := background(t)
			want := make([]string, keys)
			for i := range want {
				want[i] = fmt.Sprintf("app-many-%04d", i)
			}
			together(t, callers, func(caller int) error {
				for i := caller; i < keys; i += callers {
					if err := s.app.CreateKey(ctx, want[i]); err != nil {
						return fmt.Errorf("%s: %w", want[i], err)
					}
				}
				return nil
			})
			names, next, err := s.app.ListKeys(ctx, "app-many-", 0)
			ok(t, err)
			if !slices.Equal(names, want) || next != "" {
				t.Errorf("listing gives %d names, continue at %q; want %d and the end", len(names), next, keys)
			}
			iter := kes.ListIter[string]{NextFunc: s.admin.ListKeys}
			if got := walk(t, &iter); !slices.Equal(got, want) {
				t.Errorf("iterating gives %d names, sorted: %v; want %d", len(got), slices.IsSorted(got), keys)
			}
			iter = kes.ListIter[string]{NextFunc: s.app.ListKeys}
			first, err := iter.SeekTo(ctx, "app-many-1")
			ok(t, err)
			if rest := walk(t, &iter); first != want[1000] || !slices.Equal(rest, want[1001:]) {
				t.Errorf("seeking to app-many-1 gives %q and %d more names, want %q and %d", first, len(rest), want[1000], keys-1001)
			}
			// The SDK keeps the size of a page to itself (api.md 8): all names come, and nothing is left to continue with.
			names, next, err = s.app.ListKeys(ctx, "app-many-", 400)
			ok(t, err)
			if !slices.Equal(names, want) || next != "" {
				t.Errorf("a page of 400 gives %d names, continue at %q", len(names), next)
			}
		})
	}
}

// TestListsLongerThanAnAnswerArePaged plants more names than fit into one answer, beside keys of the server's own.
func TestListsLongerThanAnAnswerArePaged(t *testing.T) {
	const planted = 13_000
	s := start(t, true)
	ctx := background(t)
	record, err := json.Marshal(map[string]any{
		"bytes": make([]byte, 32), "algorithm": "AES256-GCM_SHA256", "created_at": "2023-01-02T03:04:05Z", "created_by": s.appID.ID,
	})
	ok(t, err)
	want := make([]string, 0, planted+2)
	for i := range planted {
		name := fmt.Sprintf("app-%s-%05d", strings.Repeat("n", 70), i)
		if len(name) != 80 {
			t.Fatalf("%q has %d characters", name, len(name))
		}
		want = append(want, name)
		ok(t, os.WriteFile(filepath.Join(s.Keys, name), record, 0o600))
	}
	for _, name := range []string{"app-0", "app-z"} {
		ok(t, s.app.CreateKey(ctx, name))
		want = append(want, name)
	}
	ok(t, s.admin.CreateKey(ctx, "zz-not-for-app"))
	slices.Sort(want)
	all := append(slices.Clone(want), "zz-not-for-app")

	for _, prefix := range []string{"", "app-", "app-n", "app-*"} {
		var got []string
		pages := 0
		for at := prefix; ; pages++ {
			names, next, err := s.admin.ListKeys(ctx, at, 0)
			ok(t, err)
			if text, _ := json.Marshal(names); len(text) > maxAnswer-100 {
				t.Errorf("page %d has %d bytes", pages, len(text))
			}
			got = append(got, names...)
			if next == "" {
				break
			}
			if len(names) == 0 || pages > 10 {
				t.Fatalf("page %d of %q has %d names and continues at %q", pages, prefix, len(names), next)
			}
			at = next
		}
		expected := all
		switch prefix {
		case "app-", "app-*":
			expected = want
		case "app-n":
			expected = want[1 : len(want)-1]
		}
		if !slices.Equal(got, expected) || pages != 1 {
			t.Errorf("listing %q gives %d names on %d pages, sorted: %v; want %d on 2", prefix, len(got), pages+1, slices.IsSorted(got), len(expected))
		}
	}
	iter := kes.ListIter[string]{NextFunc: s.admin.ListKeys}
	if got := walk(t, &iter); !slices.Equal(got, all) {
		t.Errorf("iterating gives %d names, want %d", len(got), len(all))
	}
	// Whoever may list a prefix may have its second page, and nothing beside the prefix.
	first, next, err := s.app.ListKeys(ctx, "app-", 0)
	ok(t, err)
	iter = kes.ListIter[string]{NextFunc: s.app.ListKeys}
	if found, err := iter.SeekTo(ctx, "app-"); err != nil || found != want[0] {
		t.Fatalf("seeking to app- gives %q, %v", found, err)
	}
	if rest := walk(t, &iter); !slices.Equal(rest, want[1:]) {
		t.Errorf("iterating from app- gives %d more names, want %d", len(rest), len(want)-1)
	}
	// A name that vanishes between two pages takes no other with it.
	ok(t, s.app.DeleteKey(ctx, want[len(first)]))
	second, end, err := s.app.ListKeys(ctx, next, 0)
	ok(t, err)
	if !slices.Equal(second, want[len(first)+1:]) || end != "" {
		t.Errorf("after the deletion of the next name: %d names from %q, continue at %q; want %d", len(second), second[0], end, len(want)-len(first)-1)
	}
	// What was planted are keys.
	info, err := s.app.DescribeKey(ctx, want[len(want)-2])
	ok(t, err)
	if info.Algorithm != kes.AES256 || info.CreatedAt.Year() != 2023 || info.CreatedBy.String() != s.appID.ID {
		t.Errorf("a planted key is described as %+v", info)
	}
	dek, err := s.app.GenerateKey(ctx, want[1], []byte("ctx"))
	ok(t, err)
	plain, err := s.app.Decrypt(ctx, want[2], dek.Ciphertext, []byte("ctx")) // the same bytes under another name
	ok(t, err)
	same(t, "data key", plain, dek.Plaintext)
}

// together runs `call` for each of `n` callers at once and fails the test with what they return.
func together(t *testing.T, n int, call func(caller int) error) {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for caller := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			<-begin
			errs[caller] = call(caller)
		}()
	}
	close(begin)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
