// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// lists measures what kubelet asks for again and again, on a node full of pods.
type lists struct {
	ctx    context.Context
	pods   map[*target][]*pod
	events map[*target]chan event
	floor  *floor
	image  string
}

type event struct {
	container string
	kind      cri.ContainerEventType
	when      time.Time
}

func newLists(ctx context.Context, all targets, image, logs string, count int) (*lists, error) {
	bare, err := newFloor(ctx)
	if err != nil {
		return nil, err
	}
	l := &lists{ctx, map[*target][]*pod{}, map[*target]chan event{}, bare, image}
	for _, t := range all {
		for number := 0; number < count; number++ {
			p, err := t.start(ctx, 300000+number, image, logs)
			if err != nil {
				return nil, err
			}
			l.pods[t] = append(l.pods[t], p)
			fmt.Fprintf(os.Stderr, "\r  %s: pod %d of %d", t.name, number+1, count)
		}
		fmt.Fprintln(os.Stderr)
		if err := l.follow(t); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *lists) follow(t *target) error {
	stream, err := t.runtime.GetContainerEvents(l.ctx, &cri.GetEventsRequest{})
	if err != nil {
		return err
	}
	channel := make(chan event, 10000)
	l.events[t] = channel
	go func() {
		defer close(channel)
		for {
			message, err := stream.Recv()
			if err != nil {
				return
			}
			channel <- event{message.ContainerId, message.ContainerEventType, time.Now()}
		}
	}()
	return nil
}

func (l *lists) end(ctx context.Context) {
	l.floor.end()
	for t, pods := range l.pods {
		for _, p := range pods {
			_ = t.end(ctx, p)
		}
	}
}

// ended measures from the request to kill a container until its event arrives.
func (l *lists) ended(number int, t *target) error {
	p := l.pods[t][number%len(l.pods[t])]
	created, err := t.runtime.CreateContainer(l.ctx, &cri.CreateContainerRequest{PodSandboxId: p.id,
		SandboxConfig: p.config, Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "short", Attempt: uint32(number)},
			Image:    &cri.ImageSpec{Image: l.image},
			Command:  []string{"sleep", "100000"},
			LogPath:  "short.log",
			Linux:    &cri.LinuxContainerConfig{},
		}})
	if err != nil {
		return err
	}
	id := created.ContainerId
	if _, err = t.runtime.StartContainer(l.ctx, &cri.StartContainerRequest{ContainerId: id}); err != nil {
		return err
	}
	start := time.Now()
	if _, err = t.runtime.StopContainer(l.ctx, &cri.StopContainerRequest{ContainerId: id}); err != nil {
		return err
	}
	limit := time.After(20 * time.Second)
	for {
		select {
		case e, open := <-l.events[t]:
			if !open {
				return fmt.Errorf("%s: the stream of events ended", t.name)
			}
			if e.container != id || e.kind != cri.ContainerEventType_CONTAINER_STOPPED_EVENT {
				continue
			}
			t.note("kill to event", milliseconds(e.when.Sub(start)))
			_, err := t.runtime.RemoveContainer(l.ctx, &cri.RemoveContainerRequest{ContainerId: id})
			return err
		case <-limit:
			return fmt.Errorf("%s: no event for the end of %s", t.name, id)
		}
	}
}

// undecoded sends an empty request and leaves the answer as it came.
type undecoded struct{}

func (undecoded) Name() string                { return "proto" }
func (undecoded) Marshal(any) ([]byte, error) { return []byte{}, nil }
func (undecoded) Unmarshal(data []byte, to any) error {
	*to.(*int) = len(data)
	return nil
}

// answered times a list without the client's decoding, which is the same for every runtime, and the
// same bytes from the floor's memory.
func (l *lists) answered(t *target, method string) error {
	path := "/runtime.v1.RuntimeService/" + method
	if err := l.floor.keep(l.ctx, t, path); err != nil {
		return err
	}
	for _, from := range []*target{l.floor.target, t} {
		start := time.Now()
		size := 0
		if err := from.client.Invoke(l.ctx, path, nil, &size,
			grpc.ForceCodec(undecoded{})); err != nil {
			return fmt.Errorf("%s: %s: %w", from.name, method, err)
		}
		row := method + ", undecoded"
		if from != t {
			row = method + ", from memory"
		}
		t.note(row, milliseconds(time.Since(start)))
	}
	return nil
}

// paused times a call after a pause as long as kubelet's between two lists.
func (l *lists) paused(number int, t *target) error {
	time.Sleep(time.Second + time.Duration(number%10)*10*time.Millisecond)
	_, err := timed(t, l.ctx, "Status, after a second", t.runtime.Status, &cri.StatusRequest{})
	return err
}

func (l *lists) round(number int, t *target) error {
	if err := l.paused(number, t); err != nil {
		return err
	}
	for _, method := range []string{"ListPodSandbox", "ListContainers"} {
		if err := l.answered(t, method); err != nil {
			return err
		}
	}
	if _, err := timed(t, l.ctx, "ListPodSandbox", t.runtime.ListPodSandbox,
		&cri.ListPodSandboxRequest{}); err != nil {
		return err
	}
	if _, err := timed(t, l.ctx, "ListContainers", t.runtime.ListContainers,
		&cri.ListContainersRequest{}); err != nil {
		return err
	}
	if _, err := timed(t, l.ctx, "ListContainerStats", t.runtime.ListContainerStats,
		&cri.ListContainerStatsRequest{}); err != nil {
		return err
	}
	if _, err := timed(t, l.ctx, "ListPodSandboxStats", t.runtime.ListPodSandboxStats,
		&cri.ListPodSandboxStatsRequest{}); err != nil {
		return err
	}
	return l.ended(number, t)
}
