package klimetest_test

import (
	"context"
	"fmt"
	"log"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// A Recorder needs neither a test nor a network.
func ExampleNewRecorder() {
	recorder := klimetest.NewRecorder()
	client, err := klime.New(recorder.Config())
	if err != nil {
		log.Print(err)
	}
	recorder.Fail(klimetest.Cut()) // the answer is lost, so the event is sent again

	ctx := context.Background()
	err = client.Link(ctx, klime.User{ID: "user_123"}, klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}})
	if err != nil {
		log.Print(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	for _, customer := range recorder.Customers() {
		fmt.Println(customer.ID, customer.Traits["name"], customer.Users)
	}
	fmt.Println(len(recorder.Events()), "event,", recorder.Repeated(), "came again")
	// Output:
	// org_abc Acme Inc [user_123]
	// 1 event, 1 came again
}
