package main

import (
	"context"
	"fmt"

	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/demo"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/site"
)

type demoCommand struct {
	HTTP          httpAddress `name:"http" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Where clients connect and the page is served."`
	MetadataPort  portNumber  `default:"8003" placeholder:"PORT" help:"Port of the Metadata Adapter; 0: a free one."`
	DataPort      portNumber  `default:"8001" placeholder:"PORT" help:"Port of the Data Adapter QUOTE_ADAPTER; 0: a free one."`
	ChatPort      portNumber  `default:"0" placeholder:"PORT" help:"Port of the Data Adapter CHAT_ROOM; 0: a free one."`
	PortfolioPort portNumber  `default:"0" placeholder:"PORT" help:"Port of the Data Adapter PORTFOLIO_ADAPTER; 0: a free one."`
	ClientWeb     string      `type:"path" placeholder:"DIR" help:"Folder of the npm package lightstreamer-client-web; by default it is looked for in node_modules, here and above."`
	Seed          uint64      `placeholder:"NUMBER" help:"Makes the prices repeatable; 0: other ones each time."`
}

func (c *demoCommand) Run(ctx context.Context, to *console) error {
	to.serve(false)
	running, err := demo.Start(ctx, demo.Config{
		HTTP:          string(c.HTTP),
		MetadataPort:  int(c.MetadataPort),
		DataPort:      int(c.DataPort),
		ChatPort:      int(c.ChatPort),
		PortfolioPort: int(c.PortfolioPort),
		ClientWeb:     c.ClientWeb,
		Seed:          c.Seed,
		Logger:        to.log,
	})
	if err != nil {
		return explain(err, map[portNumber]string{
			c.HTTP.port(): "--http", c.MetadataPort: "--metadata-port", c.DataPort: "--data-port",
			c.ChatPort: "--chat-port", c.PortfolioPort: "--portfolio-port",
		})
	}
	defer running.Close()

	c.report(newStyle(to.out), running)
	select {
	case <-running.Done():
		return fmt.Errorf("the demo has ended by itself: %w", running.Err())
	case <-ctx.Done():
	}
	took, cut := within(stopWithin, running.Close)
	sayStopped(newStyle(to.out), took, cut)
	return nil
}

// report tells the person where to look.
func (c *demoCommand) report(s *style, running *demo.Running) {
	s.title("Lightstreamer for Go", "demo")
	s.line("%s %s", s.accent("→"), s.link(running.URL))
	s.gap()
	s.line("Adapter Set %s", s.strong(demo.SetID))
	for _, port := range running.Ports {
		s.line("  %-18s %-16s %s", port.Adapter, port.Addr, s.good("connected"))
	}
	s.gap()
	if _, err := site.FindLibrary(c.ClientWeb); err != nil {
		s.line("%s The page needs the official web client, which is not installed:", s.warn("!"))
		s.line("  run %s in the repository's folder. The page goes on by itself.", s.strong("npm ci"))
		s.gap()
	}
	s.farewell()
}
