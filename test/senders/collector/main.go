// The OpenTelemetry Collector's own otlphttp exporter, fed with made-up log records.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
)

func main() {
	endpoint := flag.String("endpoint", "", "base URL of the way in")
	encoding := flag.String("encoding", "proto", "proto or json")
	batches := flag.Int("batches", 1, "requests")
	records := flag.Int("records", 20000, "records of a request")
	bad := flag.Int("bad", 0, "every so many records have a string that is not UTF-8; 0: none")
	flag.Parse()

	factory := otlphttpexporter.NewFactory()
	config := factory.CreateDefaultConfig()
	check(confmap.NewFromStringMap(map[string]any{
		"endpoint": *endpoint, "encoding": *encoding,
		// Without the queue each call returns once the records are delivered; at shutdown the queue drops what waits.
		"sending_queue": map[string]any{"enabled": false},
	}).Unmarshal(config))
	settings := componenttest.NewNopTelemetrySettings()
	logger, err := zap.NewDevelopment()
	check(err)
	settings.Logger = logger
	logs, err := factory.CreateLogs(context.Background(), exporter.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: settings, BuildInfo: component.NewDefaultBuildInfo()}, config)
	check(err)
	check(logs.Start(context.Background(), componenttest.NewNopHost()))
	for i := 0; i < *batches; i++ {
		check(logs.ConsumeLogs(context.Background(), batch(i, *records, *bad)))
	}
	check(logs.Shutdown(context.Background()))
	fmt.Println("done")
}

func batch(number, records, bad int) plog.Logs {
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "collector")
	scope := resource.ScopeLogs().AppendEmpty()
	scope.Scope().SetName("scope")
	for i := 0; i < records; i++ {
		record := scope.LogRecords().AppendEmpty()
		record.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		record.SetSeverityNumber(9)
		record.SetTraceID([16]byte{1, 2})
		record.Body().SetStr(fmt.Sprintf("%d/%d", number, i))
		attributes := record.Attributes()
		attributes.PutInt("int", 9007199254740993)
		attributes.PutDouble("double", 1e21)
		attributes.PutEmptyBytes("bytes").FromRaw([]byte{0, 255})
		attributes.PutEmptyMap("map").PutEmptySlice("list").AppendEmpty()
		if bad > 0 && i%bad == 0 {
			attributes.PutStr("bad", "x\xffy")
		}
	}
	return logs
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
