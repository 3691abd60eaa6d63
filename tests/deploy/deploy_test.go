// Package deploy tests what lies in deploy/: see README.md.
package deploy

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kes/tests/kesd"
)

// folder is deploy/ of the repository.
func folder(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../deploy")
	must(t, err)
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// documents reads all documents of a YAML file.
func documents(t testing.TB, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var all []map[string]any
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var document map[string]any
		err := decoder.Decode(&document)
		if err == io.EOF {
			return all
		}
		must(t, err)
		all = append(all, document)
	}
}

// kind finds the one document of a kind.
func kind(t testing.TB, all []map[string]any, kind string) map[string]any {
	t.Helper()
	var found []map[string]any
	for _, document := range all {
		if document["kind"] == kind {
			found = append(found, document)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d documents are of kind %s", len(found), kind)
	}
	return found[0]
}

// at walks down a document: names of mappings, numbers of sequences.
func at(t testing.TB, value any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch step := step.(type) {
		case string:
			mapping, ok := value.(map[string]any)
			if !ok || mapping[step] == nil {
				t.Fatalf("nothing at %v", path[:i+1])
			}
			value = mapping[step]
		case int:
			sequence, ok := value.([]any)
			if !ok || len(sequence) <= step {
				t.Fatalf("nothing at %v", path[:i+1])
			}
			value = sequence[step]
		}
	}
	return value
}

// texts are the strings of a sequence.
func texts(t testing.TB, value any) []string {
	t.Helper()
	var all []string
	for _, item := range value.([]any) {
		all = append(all, item.(string))
	}
	return all
}

// run runs a command, which must succeed; its standard output.
func run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// serving waits until a server has said that it is up.
func serving(t testing.TB, server *kesd.Process) {
	t.Helper()
	server.Await(t, readyLimit, func() error { return says(server, "=> Server is up and running...") })
}
