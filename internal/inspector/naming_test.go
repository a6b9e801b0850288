package inspector

import (
	"strings"
	"testing"
)

func TestEventNames(t *testing.T) {
	for name, want := range map[string]string{
		"Report Generated": "", "User Signed In": "", "API Called": "", "API Usage Recorded": "", "Page Viewed": "", "Invoice Paid": "",
		"Invitation Sent": "", "Plan Changed": "", "2FA Enabled": "", "Report Sent by E-Mail": "", "Änderung Übernommen Marked": "",
		"Job Ran": "", "Trial Began": "", "Admin Gave Access": "", "User Took Over": "", "Plan Chose": "", "Author Wrote": "", "Build Broke": "",
		"Team Grew": "", "iOS App Installed": "", "eSIM Activated": "", "User Opened iOS App": "", "ios App Installed": "without a capital",
		"report_generated": "not in words", "reportGenerated": "one word", "Report-Generated": "not in words", "Login": "one word",
		"report generated": "without a capital", "Report generated": "without a capital", "Generate Report": "no verb in the past",
		"Report Generation": "no verb in the past", "Generated Report": "no verb in the past", " Report Generated": "white space",
		"Report  Generated": "white space", "Report\nGenerated": "control", "Order 12345 Shipped": "an ID", strings.Repeat("Very ", 12) + "Long Named": "longer than",
	} {
		got := nameFault(name)
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	for id, want := range map[string]string{
		"usr_1": "", "42": "", "6f0c8a1e-3b1d-4f6e-9a0b-000000000001": "", "acme_inc": "", "v1.2": "", "a.b": "", "Ünïcode": "", "jane.doe": "",
		"null": "missing value", "anonymous": "missing value", "[object Object]": "missing value", "%!s(int=7)": "missing value", "0": "missing value", "&{7}": "missing value", "0xc000012345": "a pointer",
		"00000000-0000-0000-0000-000000000000": "missing value", "Acme Inc": "a name", "https://acme.com": "URL", "jane@acme.com": "e-mail",
		"acme.com": "domain", "a\u200bb": "cannot be seen", strings.Repeat("x", 201): "very long",
		"Acme": "is the customer's name, and names change",
	} {
		got := idFault(id, "Acme", "customer")
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}
