// SPDX-License-Identifier: Apache-2.0

// Cribench times the life of a pod on several runtimes in turn, so that whatever else the machine
// does hits them alike.
//
//	cribench -runtime NAME=SOCKET [-runtime ...] [-n ROUNDS] -image IMAGE -pull IMAGE
//
// It prints one JSON object: {"NAME": {"RunPodSandbox": [milliseconds, ...], ...}, ...}. Instead of
// that, -hold N makes N pods with one container each on the first runtime, prints "ready", waits for
// the end of its input and removes them; -streams MIB times streams, their throughput with so much
// data; -lists N times lists, stats and events with N pods on each runtime. Beside both stands what
// the client's side takes by itself, measured with a server that has nothing to do.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type target struct {
	name    string
	client  *grpc.ClientConn
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
	times   map[string][]float64
}

type targets []*target

func (t *targets) String() string { return "" }

func (t *targets) Set(value string) error {
	name, socket, found := strings.Cut(value, "=")
	if !found {
		return fmt.Errorf("%q is not NAME=SOCKET", value)
	}
	connection, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	*t = append(*t, &target{name, connection, cri.NewRuntimeServiceClient(connection),
		cri.NewImageServiceClient(connection), map[string][]float64{}})
	return nil
}

// timed makes one call and notes how long it took.
func timed[Request, Response any](t *target, ctx context.Context, name string,
	call func(context.Context, *Request, ...grpc.CallOption) (*Response, error),
	request *Request) (*Response, error) {
	start := time.Now()
	response, err := call(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", t.name, name, err)
	}
	t.times[name] = append(t.times[name], float64(time.Since(start).Microseconds())/1000)
	return response, nil
}

type pod struct {
	id        string
	container string
	config    *cri.PodSandboxConfig
}

// labels are those that kubelet sets.
func labels(pod, container string) map[string]string {
	set := map[string]string{
		"io.kubernetes.pod.name":      pod,
		"io.kubernetes.pod.namespace": "bench",
		"io.kubernetes.pod.uid":       pod,
	}
	if container != "" {
		set["io.kubernetes.container.name"] = container
	}
	return set
}

func (t *target) start(ctx context.Context, number int, image, logs string,
	command ...string) (*pod, error) {
	if len(command) == 0 {
		command = []string{"sleep", "100000"}
	}
	name := fmt.Sprintf("bench%d", number)
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "bench"},
		LogDirectory: filepath.Join(logs, t.name, name),
		Labels:       labels(name, ""),
		Annotations:  map[string]string{"kubernetes.io/config.source": "api"},
		// One of its own, as kubelet does: the peer cannot say what a pod without one uses.
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: t.cgroup(name)},
	}
	sandbox, err := timed(t, ctx, "RunPodSandbox", t.runtime.RunPodSandbox,
		&cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, err
	}
	p := &pod{id: sandbox.PodSandboxId, config: config}
	container, err := timed(t, ctx, "CreateContainer", t.runtime.CreateContainer,
		&cri.CreateContainerRequest{PodSandboxId: p.id, SandboxConfig: config,
			Config: &cri.ContainerConfig{
				Metadata: &cri.ContainerMetadata{Name: "c"},
				Image:    &cri.ImageSpec{Image: image},
				Command:  command,
				LogPath:  "c.log",
				Labels:   labels(name, "c"),
				Annotations: map[string]string{
					"io.kubernetes.container.hash":                     "1f2e3d4c",
					"io.kubernetes.container.restartCount":             "0",
					"io.kubernetes.container.terminationMessagePath":   "/dev/termination-log",
					"io.kubernetes.container.terminationMessagePolicy": "File",
					"io.kubernetes.pod.terminationGracePeriod":         "30",
				},
				Linux: &cri.LinuxContainerConfig{},
			}})
	if err != nil {
		return nil, err
	}
	p.container = container.ContainerId
	_, err = timed(t, ctx, "StartContainer", t.runtime.StartContainer,
		&cri.StartContainerRequest{ContainerId: p.container})
	return p, err
}

func (t *target) cgroup(pod string) string {
	return fmt.Sprintf("/cribench-%d-%s-%s", os.Getpid(), t.name, pod)
}

// Runtimes leave the parent to who asked for it.
func (t *target) removeCgroup(pod string) {
	hierarchies, _ := filepath.Glob("/sys/fs/cgroup/*" + t.cgroup(pod))
	for _, directory := range append(hierarchies, "/sys/fs/cgroup"+t.cgroup(pod)) {
		_ = os.Remove(directory)
	}
}

func (t *target) end(ctx context.Context, p *pod) error {
	if _, err := timed(t, ctx, "StopContainer", t.runtime.StopContainer,
		&cri.StopContainerRequest{ContainerId: p.container}); err != nil {
		return err
	}
	if _, err := timed(t, ctx, "RemoveContainer", t.runtime.RemoveContainer,
		&cri.RemoveContainerRequest{ContainerId: p.container}); err != nil {
		return err
	}
	if _, err := timed(t, ctx, "StopPodSandbox", t.runtime.StopPodSandbox,
		&cri.StopPodSandboxRequest{PodSandboxId: p.id}); err != nil {
		return err
	}
	_, err := timed(t, ctx, "RemovePodSandbox", t.runtime.RemovePodSandbox,
		&cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	t.removeCgroup(p.config.Metadata.Name)
	return err
}

func (t *target) round(ctx context.Context, number int, image, pull, logs string) error {
	p, err := t.start(ctx, number, image, logs)
	if err != nil {
		return err
	}
	answer, err := timed(t, ctx, "ExecSync", t.runtime.ExecSync,
		&cri.ExecSyncRequest{ContainerId: p.container, Cmd: []string{"true"}, Timeout: 10})
	if err != nil {
		return err
	}
	if answer.ExitCode != 0 {
		return fmt.Errorf("%s: ExecSync: exit code %d: %s", t.name, answer.ExitCode, answer.Stderr)
	}
	if _, err := timed(t, ctx, "ListContainers", t.runtime.ListContainers,
		&cri.ListContainersRequest{}); err != nil {
		return err
	}
	if err := t.end(ctx, p); err != nil {
		return err
	}
	spec := &cri.ImageSpec{Image: pull}
	if _, err := timed(t, ctx, "PullImage", t.images.PullImage,
		&cri.PullImageRequest{Image: spec}); err != nil {
		return err
	}
	_, err = timed(t, ctx, "RemoveImage", t.images.RemoveImage, &cri.RemoveImageRequest{Image: spec})
	return err
}

func hold(ctx context.Context, t *target, count int, image, logs string) error {
	var pods []*pod
	for number := 0; number < count; number++ {
		p, err := t.start(ctx, 100000+number, image, logs)
		if err != nil {
			return err
		}
		pods = append(pods, p)
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	for _, p := range pods {
		if err := t.end(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func run() error {
	var all targets
	flag.Var(&all, "runtime", "NAME=SOCKET; repeat it to compare")
	rounds := flag.Int("n", 50, "rounds; one more warms up")
	holdCount := flag.Int("hold", 0, "make so many pods, and hold them")
	image := flag.String("image", "", "image of the containers")
	streamMiB := flag.Int("streams", 0, "time exec and port-forward streams, so many MiB each")
	listPods := flag.Int("lists", 0, "time lists, stats and events with so many pods")
	pull := flag.String("pull", "", "image that is pulled and removed; another one than -image")
	bare := flag.String("floor", "", "serve as a runtime without anything to do on this socket")
	logs := flag.String("logs", "/tmp", "directory for logs")
	flag.Parse()
	if *bare != "" {
		return serveFloor(*bare)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	if len(all) == 0 {
		return fmt.Errorf("no -runtime given")
	}
	for _, t := range all {
		spec := &cri.ImageSpec{Image: *image}
		if _, err := t.images.PullImage(ctx, &cri.PullImageRequest{Image: spec}); err != nil {
			return fmt.Errorf("%s: PullImage: %w", t.name, err)
		}
	}
	if *holdCount > 0 {
		return hold(ctx, all[0], *holdCount, *image, *logs)
	}
	var measure func(number int, t *target) error
	switch {
	case *streamMiB > 0:
		s, err := newStreams(ctx, all, *image, *logs, int64(*streamMiB)<<20)
		if err != nil {
			return err
		}
		defer s.end(ctx)
		measure = s.round
	case *listPods > 0:
		l, err := newLists(ctx, all, *image, *logs, *listPods)
		if err != nil {
			return err
		}
		defer l.end(ctx)
		measure = l.round
	default:
		measure = func(number int, t *target) error {
			return t.round(ctx, number, *image, *pull, *logs)
		}
	}
	for number := 0; number <= *rounds; number++ {
		for _, t := range all {
			if number <= 1 {
				t.times = map[string][]float64{}
			}
			if err := measure(number, t); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "\r  round %d of %d", number, *rounds)
	}
	fmt.Fprintln(os.Stderr)
	result := map[string]map[string][]float64{}
	for _, t := range all {
		result[t.name] = t.times
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cribench:", err)
		os.Exit(1)
	}
}
