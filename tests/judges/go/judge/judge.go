// Package judge is what the judges written in Go share; judge.py says what the tasks are.
package judge

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"
)

// Record is one record as every judge sends it.
type Record struct {
	Key, Value string
	Headers    map[string]string
}

// Task is one task; it panics to fail, Skip to be skipped.
type Task struct {
	Name string
	Run  func() string
}

type skipped string

// Skip ends a task that the client cannot do.
func Skip(reason string) { panic(skipped(reason)) }

// Address is where the broker is.
func Address() string {
	if len(os.Args) != 2 || !strings.Contains(os.Args[1], ":") {
		fmt.Fprintf(os.Stderr, "usage: %s HOST:PORT\n", os.Args[0])
		os.Exit(2)
	}
	return os.Args[1]
}

// NewTopic is a name that no one has.
func NewTopic() string {
	name := make([]byte, 5)
	_, err := rand.Read(name)
	Must(err)
	return "judge-" + hex.EncodeToString(name)
}

// Records are the records that are sent with a codec.
func Records(codec string, count int) []Record {
	out := make([]Record, count)
	for index := range out {
		out[index] = Record{fmt.Sprintf("key-%d", index%50), fmt.Sprintf("%s-%d-%s", codec, index, strings.Repeat("x", index%100)),
			map[string]string{"codec": codec, "n": fmt.Sprint(index)}}
	}
	return out
}

// Must fails the task.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Is fails the task unless the call failed with this error.
func Is(err, wanted error) {
	if !errors.Is(err, wanted) {
		panic(fmt.Errorf("refused with '%v', not '%v'", err, wanted))
	}
}

// Equal fails the task unless both are the same.
func Equal(found, wanted any, what string) {
	if !reflect.DeepEqual(found, wanted) {
		panic(fmt.Errorf("%s: %v, not %v", what, found, wanted))
	}
}

// Same fails the task unless both hold the same records, each as often, in whatever order.
func Same(found, wanted []Record) {
	lines := func(some []Record) []string {
		out := make([]string, len(some))
		for index, one := range some {
			text, _ := json.Marshal(one)
			out[index] = string(text)
		}
		sort.Strings(out)
		return out
	}
	came, sent := lines(found), lines(wanted)
	for index := range sent {
		if index >= len(came) || came[index] != sent[index] {
			panic(fmt.Errorf("%d records came, %d were sent; one is %s", len(came), len(sent), sent[index]))
		}
	}
	Equal(len(came), len(sent), "records")
}

// Until waits until it holds.
func Until(what string, holds func() bool) {
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic(fmt.Errorf("%s: not within 30 s", what))
		}
	}
}

func run(task Task) (result, reason string) {
	defer func() {
		switch what := recover().(type) {
		case nil:
		case skipped:
			result, reason = "skipped", string(what)
		default:
			result, reason = "failed", fmt.Sprint(what)
			if len(reason) > 400 {
				reason = reason[:400]
			}
		}
	}()
	return "ok", task.Run()
}

// Main runs the tasks and ends the program. JUDGE_TASK names those to run, with ; between them.
func Main(client, version string, tasks []Task) {
	code := 0
	for _, task := range tasks {
		if only := os.Getenv("JUDGE_TASK"); only != "" && !slices.Contains(strings.Split(only, ";"), task.Name) {
			continue
		}
		begun := time.Now()
		result, reason := run(task)
		line, _ := json.Marshal(map[string]string{"task": task.Name, "result": result, "reason": reason, "version": version})
		fmt.Printf("{\"client\":\"%s\",%s\n", client, line[1:])
		fmt.Fprintf(os.Stderr, "%s %s %s: %.1f s\n", client, version, task.Name, time.Since(begun).Seconds())
		if result == "failed" {
			code = 1
		}
	}
	os.Exit(code)
}
