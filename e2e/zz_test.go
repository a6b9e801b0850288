package e2e
import ("testing";"net/http/httptest";"os/exec";"os";"fmt";klime "github.com/klimeapp/klime-go/core"
"github.com/klimeapp/klime-go/internal/ingest")
var _ = klime.Version
func TestX(t *testing.T){
 s:=ingest.New(ingest.Options{WriteKey:"good"}); h:=httptest.NewServer(s); defer h.Close()
 for _,k:=range []string{"bad","good"}{ for _,n:=range []string{"26","51"} { for _,ch:=range []string{"a","é"} { for range 3 {
 c:=exec.Command("node","/tmp/exp/big.mjs",h.URL,k,n,ch); c.Stderr=os.Stderr; out,err:=c.Output(); fmt.Printf("key %s n %s ch %s: %v %s\n%+v\n",k,n,ch,err,out,s.Counts())
 }}}}
}
