// Command testset starts a broker with the Adapter Set TEST, which has something to try for everything that a Lightstreamer client can do:
//
//	go run ./interop/cmd/testset --http 127.0.0.1:8080
//
// See package testset for what is in it. Ctrl-C ends it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run does it all, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("testset", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("http", "127.0.0.1:8080", "`address` for clients; port 0 picks a free one")
	inProcess := flags.Bool("in-process", false, "plug the adapters into the broker, in place of connecting them over TCP")
	verbose := flags.Bool("v", false, "log what happens")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "testset: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	running, err := testset.Start(ctx, testset.Config{Addr: *addr, InProcess: *inProcess, Logger: log})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	defer running.Close()
	_, _ = fmt.Fprintf(stdout, "listening on %s\n", running.URL)
	select {
	case <-ctx.Done():
		return 0
	case <-running.Broker.Done():
		_, _ = fmt.Fprintf(stderr, "testset: the broker has stopped: %v\n", running.Broker.Err())
		return 1
	}
}
