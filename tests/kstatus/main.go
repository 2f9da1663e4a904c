// Command kstatus reads Kubernetes objects as a JSON array on stdin and answers with what kstatus says of each.
//
// sigs.k8s.io/cli-utils/pkg/kstatus is the algorithm that Flux and kpt decide by.
package main

import (
	"encoding/json"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	log.SetFlags(0)
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		log.Fatal(err)
	}
	answers := make([]map[string]string, 0, len(objects))
	for _, object := range objects {
		result, err := status.Compute(&unstructured.Unstructured{Object: numbers(object).(map[string]any)})
		if err != nil {
			log.Fatal(err)
		}
		answers = append(answers, map[string]string{"status": result.Status.String(), "message": result.Message})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

// numbers turns whole float64s into int64s, as the Kubernetes decoders do and kstatus expects.
func numbers(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for key, inner := range typed {
			typed[key] = numbers(inner)
		}
	case []any:
		for index, inner := range typed {
			typed[index] = numbers(inner)
		}
	case float64:
		if whole := int64(typed); float64(whole) == typed {
			return whole
		}
	}
	return value
}
