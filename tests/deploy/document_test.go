package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kes/tests/kesd"
)

// TestCommandsOfTheDocumentsExist asks for the help of each command line that stands in docs/operations.md and in the comments of deploy/: a command or a flag
// that there is not fails before the help.
func TestCommandsOfTheDocumentsExist(t *testing.T) {
	bin := kesd.Bin(t)
	files := []string{"../docs/operations.md", "compose.yaml", "kubernetes/kes.yaml", "prometheus/prometheus.yaml", "prometheus/rules.yaml", "compose/init"}
	// A command ends where the shell, or the text around it, goes on.
	command := regexp.MustCompile("(?:^|[\\s`(])kes ((?:server|identity|key|status|ls|log|metric|policy|config|ready|doctor|version)\\b[^`\\n|&;><()#,]*)")
	placeholder := regexp.MustCompile(`^(or|is|of|that|and|with|goes|has|in)$`)
	seen := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(folder(t), name))
		must(t, err)
		for _, match := range command.FindAllStringSubmatch(string(text), -1) {
			var words []string
			for i, word := range strings.Fields(match[1]) {
				if i > 1 && placeholder.MatchString(word) {
					break // prose
				}
				words = append(words, strings.Trim(word, ".:\""))
			}
			line := strings.Join(words, " ")
			if seen[line] {
				continue
			}
			seen[line] = true
			out, err := exec.Command(bin, append(words, "--help")...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: kes %s: %s", name, line, out)
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d commands were found: %v", len(seen), seen)
	}
}
