package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/RichardKnop/machinery/v2/tasks"
)

// seen counts how often a task with a UUID was run by this process, for the
// tasks that fail a number of times and then succeed.
var seen = struct {
	sync.Mutex
	runs map[string]int64
}{runs: map[string]int64{}}

func runsOf(ctx context.Context) int64 {
	uuid := ""
	if s := tasks.SignatureFromContext(ctx); s != nil {
		uuid = s.UUID
	}
	seen.Lock()
	defer seen.Unlock()
	seen.runs[uuid]++
	return seen.runs[uuid]
}

func echo[T any](v T) (T, error) { return v, nil }

func echoes() map[string]interface{} {
	return map[string]interface{}{
		"bool": echo[bool], "string": echo[string], "float32": echo[float32], "float64": echo[float64],
		"int": echo[int], "int8": echo[int8], "int16": echo[int16], "int32": echo[int32], "int64": echo[int64],
		"uint": echo[uint], "uint8": echo[uint8], "uint16": echo[uint16], "uint32": echo[uint32], "uint64": echo[uint64],
		"[]bool": echo[[]bool], "[]string": echo[[]string], "[]float32": echo[[]float32], "[]float64": echo[[]float64],
		"[]int": echo[[]int], "[]int8": echo[[]int8], "[]int16": echo[[]int16], "[]int32": echo[[]int32], "[]int64": echo[[]int64],
		"[]uint": echo[[]uint], "[]uint8": echo[[]uint8], "[]uint16": echo[[]uint16], "[]uint32": echo[[]uint32],
		"[]uint64": echo[[]uint64], "[]byte": echo[[]byte],
	}
}

func taskFuncs() map[string]interface{} {
	funcs := map[string]interface{}{
		"add": func(ns ...int64) (sum int64, err error) {
			for _, n := range ns {
				sum += n
			}
			return sum, nil
		},
		"multiply": func(ns ...int64) (int64, error) {
			product := int64(1)
			for _, n := range ns {
				product *= n
			}
			return product, nil
		},
		"sum_ints": func(ns []int64) (sum int64, err error) {
			for _, n := range ns {
				sum += n
			}
			return sum, nil
		},
		"concat": func(parts ...string) (string, error) { return strings.Join(parts, ""), nil },
		// split has several results: what is before and after the separator, and whether it was there.
		"split": func(s, sep string) (string, string, bool, error) {
			before, after, found := strings.Cut(s, sep)
			return before, after, found, nil
		},
		"noop": func() error { return nil },
		// sleep_until ends at a time in milliseconds since 1970, so that tasks of several programs end together.
		"sleep_until": func(ms int64) (int64, error) { time.Sleep(time.Until(time.UnixMilli(ms))); return ms, nil },
		"sleep_ms":    func(ms int64) error { time.Sleep(time.Duration(ms) * time.Millisecond); return nil },
		"fail": func(message ...string) error {
			if len(message) == 0 {
				return errors.New("failed as asked")
			}
			return errors.New(strings.Join(message, " "))
		},
		"panic":       func(text string) error { panic(text) },
		"panic_error": func(text string) error { panic(errors.New(text)) },
		"panic_other": func() error { panic(42) },
		// fail_times fails the first n runs of a task that this process sees.
		"fail_times": func(ctx context.Context, n int64) (int64, error) {
			run := runsOf(ctx)
			if run <= n {
				return 0, fmt.Errorf("run %d fails", run)
			}
			return run, nil
		},
		// retry_later asks n times for a retry in ms milliseconds.
		"retry_later": func(ctx context.Context, ms, n int64) (int64, error) {
			run := runsOf(ctx)
			if run <= n {
				return 0, tasks.NewErrRetryTaskLater(fmt.Sprintf("run %d", run), time.Duration(ms)*time.Millisecond)
			}
			return run, nil
		},
		// record_error shows what an error callback gets: on stderr and as its result.
		"record_error": func(message string, rest ...string) (string, error) {
			fmt.Fprintf(os.Stderr, "record_error %q %q\n", message, rest)
			return message, nil
		},
		// signature returns its own signature, as this worker decoded it.
		"signature": func(ctx context.Context, _ ...string) (string, error) {
			text, err := json.Marshal(tasks.SignatureFromContext(ctx))
			return string(text), err
		},
	}
	for name, f := range echoes() {
		funcs["echo_"+name] = f
	}
	return funcs
}
