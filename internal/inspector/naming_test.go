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
		"null": "missing value", "anonymous": "missing value", "[object Object]": "missing value", "%!s(int=7)": "missing value", "0": "missing value", "&{7}": "missing value",
		"00000000-0000-0000-0000-000000000000": "missing value", "Acme Inc": "a name", "https://acme.com": "URL", "jane@acme.com": "e-mail",
		"acme.com": "domain", "a\u200bb": "cannot be seen", strings.Repeat("x", 201): "very long",
	} {
		got := idFault(id)
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(1000): "1,000", number(1234567): "1,234,567", number(-1000): "-1,000",
		millis(0.123): "0.12 ms", millis(12.34): "12.3 ms", millis(1234.5): "1234 ms", millis(12_345): "12.3 s",
		percent(0): "0.0 %", percent(0.00001): "<0.1 %", percent(0.0484): "4.8 %", percent(1): "100.0 %",
		bytesOf(100): "100 B", bytesOf(2048): "2 KiB", bytesOf(256 << 20): "256 MiB", bytesOf(3<<20 + 1<<19): "3.5 MiB",
		columns([]int{0, 1, 2}, 2): "M100.0 100v-50.0h80.0V100zM200.0 100v-100.0h80.0V100z", columns(nil, 0): "", share(1, 4): "25.00", share(1, 0): "0",
		show(3, "abcd"): "abc…", show(9, "a\u202eb\x00"): `a\u202eb\u0000`, visible(9, "a\nb", true): "a\nb", show(9, "a\nb"): `a\u000ab`,
		show(9, " "): `\u0020`, show(9, " a b "): " a b ", show(9, "\u3164\u2800"): `\u3164\u2800`, show(9, ""): "",
		show(99, "Z"+strings.Repeat("\u0301", 50)): "Z\u0301\u0301\u0301",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// Indented, this would be a hundred million characters.
	for _, raw := range []string{strings.Repeat("[", 9000) + strings.Repeat("]", 9000), `["` + strings.Repeat("x", maxIndented) + `"]`} {
		if got := indented([]byte(raw)); got != raw {
			t.Errorf("%d characters have become %d", len(raw), len(got))
		}
	}
}
