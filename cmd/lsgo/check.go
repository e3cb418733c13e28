package main

import (
	"fmt"
	"os"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

type checkCommand struct {
	Paths []string `arg:"" name:"dir" help:"Folders with an adapters.xml, or with a folder for each Adapter Set; or the files themselves. Those of a folder are checked against each other, too."`
	JSON  bool     `name:"json" help:"Write one JSON object a line: problem, and checked at the end."`
}

func (c *checkCommand) Run(to *console) error {
	var files int
	var problems []*adaptersxml.Problem
	for _, path := range c.Paths {
		n, found, err := checkPath(path)
		if err != nil {
			return err
		}
		files += n
		problems = append(problems, found...)
	}
	mistakes := 0
	for _, p := range problems {
		if p.Severity == adaptersxml.SeverityError {
			mistakes++
		}
	}
	if c.JSON {
		s := newScript(to.out)
		for _, p := range problems {
			s.problem(p)
		}
		s.write(struct {
			jsonHead
			Files    int `json:"files"`
			Mistakes int `json:"mistakes"`
			Warnings int `json:"warnings"`
		}{s.head("checked"), files, mistakes, len(problems) - mistakes})
	} else {
		s := newStyle(to.out)
		for _, p := range problems {
			writeProblem(s, p)
		}
		_, _ = fmt.Fprintf(s.out, "%s: %s, %s\n", count(files, "file"), count(mistakes, "mistake"), count(len(problems)-mistakes, "warning"))
	}
	if mistakes > 0 {
		return errSaid
	}
	return nil
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkPath checks a file, or the sets of a folder.
func checkPath(path string) (files int, problems []*adaptersxml.Problem, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, nil, err
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = findSets(path); err != nil {
			return 0, nil, err
		}
		if len(names) == 0 {
			return 0, nil, noSets(path)
		}
	}
	var sets []*adaptersxml.Set
	for _, name := range names {
		set, found := readSet(name)
		problems = append(problems, found...)
		if set != nil {
			sets = append(sets, set)
			problems = append(problems, onTheServer(set)...)
		}
	}
	return len(names), append(problems, adaptersxml.Problems(adaptersxml.CheckSets(sets...))...), nil
}
