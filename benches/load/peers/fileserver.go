// Go's own file server over a directory, with a fixed reply at /info.
// Arguments: PORT ROOT
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "a fixed reply, made by the server alone\n")
	})
	http.Handle("/", http.FileServer(http.Dir(os.Args[2])))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
