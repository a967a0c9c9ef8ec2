package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"time"

	machinery "github.com/RichardKnop/machinery/v2"
	"github.com/RichardKnop/machinery/v2/tasks"
)

// stepsCommand sends what each line of standard input asks for and answers
// with a line of JSON when it is done:
//
//	singly COUNT QUEUE   one SendTask after the other; true
//	group COUNT QUEUE    groups of up to 1,000; the UUIDs
//	trip 1 QUEUE         one task, until its result is here; true
func stepsCommand(fs *flag.FlagSet, o *options) func([]string) error {
	concurrency := fs.Int("concurrency", 10, "send concurrency of a group")
	return func([]string) error {
		s, err := o.server()
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			var step, queue string
			var count int
			if _, err := fmt.Sscan(lines.Text(), &step, &count, &queue); err != nil {
				return err
			}
			answer, err := doStep(s, step, count, queue, *concurrency)
			if err != nil {
				return err
			}
			if err := printLine(answer); err != nil {
				return err
			}
		}
		return lines.Err()
	}
}

func doStep(s *machinery.Server, step string, count int, queue string, concurrency int) (any, error) {
	switch step {
	case "singly":
		return true, sendSingly(s, count, queue)
	case "group":
		return sendGroups(s, count, queue, concurrency)
	case "trip":
		r, err := s.SendTask(addition(1, queue))
		if err == nil {
			_, err = r.GetWithTimeout(30*time.Second, time.Millisecond)
		}
		return true, err
	}
	return nil, fmt.Errorf("unknown step %q", step)
}

func addition(i int, queue string) *tasks.Signature {
	return &tasks.Signature{
		Name:       "add",
		RoutingKey: queue,
		Args:       []tasks.Arg{{Type: "int64", Value: int64(i)}, {Type: "int64", Value: int64(1)}},
	}
}

func sendSingly(s *machinery.Server, count int, queue string) error {
	for i := 0; i < count; i++ {
		if _, err := s.SendTask(addition(i, queue)); err != nil {
			return err
		}
	}
	return nil
}

func sendGroups(s *machinery.Server, count int, queue string, concurrency int) ([]string, error) {
	uuids := make([]string, 0, count)
	for first := 0; first < count; first += 1000 {
		var members []*tasks.Signature
		for i := first; i < min(first+1000, count); i++ {
			members = append(members, addition(i, queue))
		}
		group, err := tasks.NewGroup(members...)
		if err != nil {
			return nil, err
		}
		if _, err := s.SendGroup(group, concurrency); err != nil {
			return nil, err
		}
		uuids = append(uuids, group.GetUUIDs()...)
	}
	return uuids, nil
}
