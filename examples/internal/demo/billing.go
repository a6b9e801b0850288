package demo

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// BillingSignature is the header with the HMAC-SHA256 of a webhook's body, in hex.
const BillingSignature = "X-Billing-Signature"

// billingCall is the body of a webhook.
type billingCall struct {
	Org  string `json:"org"`
	Plan string `json:"plan"`
}

// ChangePlan is the billing service's webhook: it checks the signature, and
// gives the company the plan that it pays for now.
func (a *App) ChangePlan(body []byte, signature string) (Org, error) {
	mac, err := hex.DecodeString(signature)
	if err != nil || !a.billing.verify(body, mac) {
		return Org{}, ErrSignature
	}
	var call billingCall
	if err := json.Unmarshal(body, &call); err != nil {
		return Org{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	org, err := a.org(call.Org)
	if err != nil {
		return Org{}, err
	}
	return org.update(org.Name, call.Plan)
}

// BillingRequest is what the billing service sends when a company changes its
// plan.
func (a *App) BillingRequest(orgID, plan string) (body []byte, signature string) {
	body = fmt.Appendf(nil, `{"org":%q,"plan":%q}`, orgID, plan)
	return body, hex.EncodeToString(a.billing.sign(body))
}
