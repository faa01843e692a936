// Reads objects of the Prometheus operator as one JSON list from standard input, and prints what
// the operator's own types refuse of each: unknown fields and wrong types. One line per object,
// empty where nothing is wrong.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

func read(object json.RawMessage) error {
	var head struct{ Kind string }
	if err := json.Unmarshal(object, &head); err != nil {
		return err
	}
	kinds := map[string]any{
		"PodMonitor":     &monitoring.PodMonitor{},
		"ServiceMonitor": &monitoring.ServiceMonitor{},
		"PrometheusRule": &monitoring.PrometheusRule{},
	}
	into, isKnown := kinds[head.Kind]
	if !isKnown {
		return fmt.Errorf("unknown kind %q", head.Kind)
	}
	return yaml.UnmarshalStrict(object, into)
}

func main() {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, object := range objects {
		line := ""
		if err := read(object); err != nil {
			line = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(line)
	}
}
