// The API server's own audit webhook backend (k8s.io/apiserver), buffered and, if asked for, truncating as kube-apiserver
// puts it together, fed with made-up events. Writes each event that it took to a file, one JSON object a line.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/audit/buffered"
	"k8s.io/apiserver/plugin/pkg/audit/truncate"
	auditwebhook "k8s.io/apiserver/plugin/pkg/audit/webhook"
)

func main() {
	config := flag.String("config", "", "kubeconfig that names the service")
	requests := flag.Int("n", 500, "requests, each with two stages")
	rate := flag.Int("rate", 2000, "requests a second")
	size := flag.Int("size", 100, "bytes in the object of a request")
	truncating := flag.Bool("truncate", false, "as --audit-webhook-truncate-enabled")
	odd := flag.String("odd", "", "what the event in the middle is: dup, deep, badutf8, surrogate, longid, many")
	backoff := flag.Duration("backoff", auditwebhook.DefaultInitialBackoffDelay, "as --audit-webhook-initial-backoff")
	out := flag.String("out", "sent.jsonl", "file for the events that were taken")
	flag.Parse()

	hook, err := auditwebhook.NewBackend(*config, auditv1.SchemeGroupVersion, webhook.DefaultRetryBackoffWithInitialDelay(*backoff), nil)
	check(err)
	var backend audit.Backend = buffered.NewBackend(hook, buffered.BatchConfig{
		BufferSize: 10000, MaxBatchSize: 400, MaxBatchWait: time.Second,
		ThrottleEnable: true, ThrottleQPS: 10, ThrottleBurst: 15, AsyncDelegate: true,
	})
	if *truncating {
		backend = truncate.NewBackend(backend, truncate.Config{MaxEventSize: 102400, MaxBatchSize: 10 << 20}, auditv1.SchemeGroupVersion)
	}
	stop := make(chan struct{})
	check(backend.Run(stop))
	file, err := os.Create(*out)
	check(err)
	sent := json.NewEncoder(file)
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	for i := 0; i < *requests; i++ {
		<-tick.C
		middle := i == *requests/2
		id := types.UID(uuid.NewString())
		if middle && *odd == "longid" {
			id = types.UID(strings.Repeat("a", 257))
		}
		for _, stage := range []auditinternal.Stage{auditinternal.StageRequestReceived, auditinternal.StageResponseComplete} {
			event := event(id, stage)
			if stage == auditinternal.StageResponseComplete {
				event.ResponseStatus = &metav1.Status{Code: 201}
				event.RequestObject = &runtime.Unknown{Raw: []byte(object(*size, middle, *odd)), ContentType: "application/json"}
			}
			taken := backend.ProcessEvents(event)
			check(sent.Encode(map[string]any{"id": id, "stage": stage, "taken": taken}))
		}
	}
	close(stop)
	backend.Shutdown()
	fmt.Println("done")
}

func event(id types.UID, stage auditinternal.Stage) *auditinternal.Event {
	return &auditinternal.Event{
		Level: auditinternal.LevelRequestResponse, AuditID: id, Stage: stage, Verb: "create",
		RequestURI: "/api/v1/namespaces/default/configmaps?x=<&>\u2028é", SourceIPs: []string{"127.0.0.1"}, UserAgent: "kubectl/v1.34",
		RequestReceivedTimestamp: metav1.NewMicroTime(time.Now()), StageTimestamp: metav1.NewMicroTime(time.Now()),
		Annotations: map[string]string{"authorization.k8s.io/decision": "allow"},
	}
}

func object(size int, middle bool, odd string) string {
	if middle {
		switch odd {
		case "dup":
			return `{"metadata":{"labels":{"a":"1","a":"2"}}}`
		case "deep":
			return strings.Repeat(`{"a":`, 130) + "1" + strings.Repeat("}", 130)
		case "badutf8":
			return "{\"metadata\":{\"labels\":{\"a\":\"x\xff\"}}}"
		case "surrogate":
			return `{"metadata":{"labels":{"a":"x\ud800"}}}`
		case "many":
			return "[" + strings.Repeat("0,", 1000000) + "0]"
		}
	}
	return fmt.Sprintf(`{"kind":"ConfigMap","data":{"k":"%s","big":9007199254740993,"f":1.50,"h":"<>&"}}`, strings.Repeat("x", size))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
