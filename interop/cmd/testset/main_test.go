package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestRun starts the command, looks at what it serves, and ends it as Ctrl-C does.
func TestRun(t *testing.T) {
	for _, args := range [][]string{{"--http", "127.0.0.1:0"}, {"--http", "127.0.0.1:0", "--in-process"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			out, stdout := io.Pipe()
			ended := make(chan int)
			go func() { ended <- run(ctx, args, stdout, t.Output()) }()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
			if !ok {
				t.Fatalf("it says %q", line)
			}
			response, err := http.Get(url + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("not ready: %s", response.Status)
			}
			stop()
			if status := <-ended; status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--help"}, 0, "-in-process"},
		{[]string{"--nonsense"}, 2, "nonsense"},
		{[]string{"count"}, 2, `"count"`},
		{[]string{"--http", "nowhere"}, 1, "nowhere"},
	} {
		var stderr strings.Builder
		if status := run(t.Context(), test.args, io.Discard, &stderr); status != test.status || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%q: status %d, says\n%s", test.args, status, &stderr)
		}
	}
}
