// SPDX-License-Identifier: Apache-2.0

// Cristorm uses a runtime badly.
//
//	cristorm -mode streams -containers ID,... -attach ID -count N -parallel N
//
// opens streams, many at once: execs that end well, fail to start or lose their client, attaches
// that leave. What a good exec prints must arrive.
//
//	cristorm -mode cancel -pod CONFIG -count N -parallel N -image IMAGE
//
// makes calls of every kind and cancels each at a random moment; calls that end before must end
// well or with an error that fits. CONFIG is the JSON of a PodSandboxConfig, of which every worker
// changes the name.
//
// It prints how often each thing happened, and ends with 1 at the first that should not.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/url"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type storm struct {
	runtime    cri.RuntimeServiceClient
	images     cri.ImageServiceClient
	containers []string
	attached   string
	pod        string
	image      string

	mutex  sync.Mutex
	counts map[string]int
}

func (s *storm) count(what string) {
	s.mutex.Lock()
	s.counts[what]++
	s.mutex.Unlock()
}

// follow serves a stream until its end.
func follow(ctx context.Context, address string, in io.Reader, out io.Writer) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{}, "POST", parsed)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out})
}

func (s *storm) exec(ctx context.Context, in io.Reader, out io.Writer, command ...string) error {
	container := s.containers[rand.Intn(len(s.containers))]
	answer, err := s.runtime.Exec(ctx, &cri.ExecRequest{ContainerId: container, Cmd: command,
		Stdin: in != nil, Stdout: true})
	if err != nil {
		return fmt.Errorf("Exec: %w", err)
	}
	return follow(ctx, answer.Url, in, out)
}

// leaver is a client that goes when it sees the first output.
type leaver struct{ leave context.CancelFunc }

func (l leaver) Write(data []byte) (int, error) {
	l.leave()
	return len(data), nil
}

// leaving gives a context that the writer ends, or, once in a while, that ends by itself earlier: not
// often, because a URL that nobody uses counts for a minute.
func (s *storm) leaving(ctx context.Context, random *rand.Rand) (context.Context, io.Writer) {
	limit := time.Minute
	if random.Intn(20) == 0 {
		limit = time.Duration(random.Intn(20)) * time.Millisecond
	}
	short, leave := context.WithTimeout(ctx, limit)
	return short, leaver{leave}
}

func (s *storm) stream(random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	switch random.Intn(6) {
	case 0, 1:
		want := fmt.Sprintf("output %d", random.Int())
		var out bytes.Buffer
		if err := s.exec(ctx, nil, &out, "echo", want); err != nil {
			return err
		}
		if strings.TrimSpace(out.String()) != want {
			return fmt.Errorf("exec printed %q, not %q", out.String(), want)
		}
		s.count("exec")
	case 2:
		if err := s.exec(ctx, nil, io.Discard, "/no/such/command"); err == nil {
			return fmt.Errorf("exec of a command that does not exist succeeded")
		}
		s.count("exec that cannot start")
	case 3:
		short, leave := s.leaving(ctx, random)
		_ = s.exec(short, nil, leave, "sh", "-c", "echo here; exec sleep 1000")
		s.count("exec whose client vanishes")
	case 4:
		in := strings.NewReader(strings.Repeat("x", random.Intn(100_000)))
		if err := s.exec(ctx, in, io.Discard, "true"); err != nil {
			return fmt.Errorf("exec that reads nothing: %w", err)
		}
		s.count("exec that reads nothing")
	case 5:
		answer, err := s.runtime.Attach(ctx, &cri.AttachRequest{ContainerId: s.attached, Stdout: true})
		if err != nil {
			return fmt.Errorf("Attach: %w", err)
		}
		short, leave := s.leaving(ctx, random)
		_ = follow(short, answer.Url, nil, leave)
		s.count("attach whose client vanishes")
	}
	return nil
}

func (s *storm) run(count, parallel int, seed int64, one func(*rand.Rand) error) error {
	work := make(chan int)
	failed := make(chan error, parallel)
	var workers sync.WaitGroup
	for worker := 0; worker < parallel; worker++ {
		workers.Add(1)
		go func(random *rand.Rand) {
			defer workers.Done()
			for range work {
				if err := one(random); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		}(rand.New(rand.NewSource(seed + int64(worker))))
	}
	var first error
	for number := 0; number < count && first == nil; number++ {
		select {
		case work <- number:
		case first = <-failed:
		}
	}
	close(work)
	workers.Wait()
	select {
	case err := <-failed:
		if first == nil {
			first = err
		}
	default:
	}
	return first
}

func run() error {
	socket := flag.String("socket", "/run/berth/berthd.sock", "path of the runtime's socket")
	mode := flag.String("mode", "streams", "streams or cancel")
	containers := flag.String("containers", "", "IDs of running containers to exec in, with commas")
	attached := flag.String("attach", "", "ID of a running container to attach to")
	pod := flag.String("pod", "", "JSON of a pod's configuration")
	image := flag.String("image", "", "image of containers")
	count := flag.Int("count", 1000, "how many")
	parallel := flag.Int("parallel", 200, "how many at once")
	seed := flag.Int64("seed", time.Now().UnixNano(), "of the random choices")
	flag.Parse()
	connection, err := grpc.NewClient("unix://"+*socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	s := &storm{runtime: cri.NewRuntimeServiceClient(connection),
		images: cri.NewImageServiceClient(connection), containers: strings.Split(*containers, ","), attached: *attached,
		pod: *pod, image: *image, counts: map[string]int{}}
	fmt.Fprintf(os.Stderr, "seed %d\n", *seed)
	switch *mode {
	case "streams":
		err = s.run(*count, *parallel, *seed, s.stream)
	case "cancel":
		err = s.run(*count, *parallel, *seed, s.cancelled)
	default:
		err = fmt.Errorf("no such mode: %q", *mode)
	}
	var names []string
	for name := range s.counts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("%6d %s\n", s.counts[name], name)
	}
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cristorm:", err)
		os.Exit(1)
	}
}
