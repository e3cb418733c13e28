// Command lsgo runs Lightstreamer for Go: the demo, and the embedded broker by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// Exit statuses.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitImpatient = 130 // a second Ctrl-C, as shells count it
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, stop, os.Exit) // ends with the process
	signal.Ignore(syscall.SIGPIPE)  // a closed output is dealt with where it is written, see output
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// obey asks for an orderly end at the first signal. Whoever sends a second one does not want to wait for it.
func obey(signals <-chan os.Signal, stop func(), exit func(int)) {
	<-signals
	stop()
	<-signals
	exit(exitImpatient)
}

// cli is the command line.
type cli struct {
	Demo    demoCommand    `cmd:"" help:"Run the stock-list, chat and portfolio demo: embedded broker, Go adapters and a page."`
	Serve   serveCommand   `cmd:"" help:"Run the embedded broker alone, for Remote Adapters of your own."`
	Check   checkCommand   `cmd:"" help:"Check adapters.xml files: mistakes and warnings, with line and column."`
	Version versionCommand `cmd:"" help:"Print the version."`

	Log string `help:"What is logged to the standard error: debug, info, warn or error." enum:"debug,info,warn,error" default:"warn" placeholder:"LEVEL"`
}

// console is where a command writes, and its logger.
type console struct {
	out, err *output
	log      *slog.Logger
	level    *slog.LevelVar // of log
}

// serve prepares the outputs for a command that serves: whatever happens to them, it goes on. What
// one of them loses is told on the other one.
func (c *console) serve(json bool) {
	c.out.detach(func(text string) { fmt.Fprintf(c.err, "lsgo: %s\n", text) })
	c.err.detach(func(text string) {
		if json {
			newScript(c.out).problem(&adaptersxml.Problem{Severity: adaptersxml.SeverityWarning, Message: text})
			return
		}
		fmt.Fprintf(c.out, "lsgo: %s\n", text)
	})
}

// run executes one command line and returns the exit status. It ends when the command has, or soon after ctx.
func run(ctx context.Context, args []string, out, err io.Writer) (status int) {
	stdout, stderr := newOutput("standard output", out), newOutput("standard error", err)
	status = execute(ctx, args, stdout, stderr)
	stdout.close()
	if err := stdout.failure(); err != nil && status == exitOK {
		fmt.Fprintf(stderr, "lsgo: %v\n", err)
		status = exitFailed
	}
	stderr.close()
	return status
}

func execute(ctx context.Context, args []string, stdout, stderr *output) (status int) {
	var line cli
	status = -1
	parser, err := kong.New(&line,
		kong.Name("lsgo"),
		kong.Description("Lightstreamer for Go: a broker for development and tests that official Lightstreamer clients and Remote Adapters connect to."),
		kong.Writers(stdout, stderr),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("LSGO"),
		kong.Exit(func(code int) { status = code }), // after --help
	)
	if err != nil {
		panic(err) // the tags above are wrong: no command line could work
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if status >= 0 {
		return status
	}
	if err != nil {
		fmt.Fprintf(stderr, "lsgo: %v\nTry \"lsgo --help\".\n", err)
		return exitUsage
	}
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(line.Log)); err != nil {
		fmt.Fprintf(stderr, "lsgo: %v\n", err)
		return exitUsage
	}
	to := &console{
		out:   stdout,
		err:   stderr,
		log:   newLog(stderr, level),
		level: level,
	}
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(to); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintf(stderr, "lsgo: %v\n", err)
		}
		if _, usage := errors.AsType[usageError](err); usage {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

// usageError is a mistake in what the command was told, as opposed to what went wrong when it did it.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errSaid ends a command that has told the person already what is wrong.
var errSaid = errors.New("")
