package secretkeys

import (
	"strconv"
	"strings"
	"testing"
)

func TestDefault(t *testing.T) {
	t.Parallel()
	secrets := []string{
		"password", "Password", "PASSWORD", "userPassword", "password_hash", "db-password", "password2", "oldPassword2", "passwd", "pwd",
		"secret", "clientSecret", "CLIENT_SECRET", "authorization", "Authorization", "X-Authorization", "proxy-authorization",
		"cookie", "Set-Cookie", "sessionCookie", "apiKey", "APIKey", "API_KEY", "x-api-key", "stripeApiKey", "apikey", "userAPIKey2",
		"accessToken", "access_token", "ACCESS-TOKEN", "accesstoken", "refreshToken", "idToken", "csrf.token", "token", "Token", "jwt",
		"cardNumber", "card_number", "creditCard", "creditCardLast4", "cvv", "CVC", "ssn", "userSSN", "SSN", "socialSecurity", "iban", "privateKey",
		"passwords", "accessTokens", "cardNumbers", "apiKeys", "oauthToken", "userToken", "xsrf-token", "verificationToken", "idTokens", "mfaCode",
		"securityCode", "bearer", "pin", "clientsecret", "secretkey", "privateKeys", "jwts",
		"credentials", "session id", "sessionId", "user.password", "пароль password",
		"passwordCounted", "passwordPolicyText", "apiKeyCount2", "passwordAtLogin", "passwordChanged", "password-last-changed", "passwordUpdated", "otpCreated", "passwordChangedAt", "statusPassword", "passwordStatuses",
		"passWord", "pass_word", "userPassWord", "PassWords", "pASSWORD", "APIkey", "apiKeY", "apiKEYs", "sessionIDs", "sESSION_iD", "ApIkEy2", "iBAN", "toKen",
		"acceSSkey", "DBPassword", "HTTPCookie", "AWSAPIKey", "XAPIKey", "userGCPAPIKeys", "OTPAPIKey2", "XMFACode", "HTTPAPI-token", "old-pass-word-hash", "p.a.s.s.w.o.r.d", "пароль_pass-word",
	}
	public := []string{
		"", "tokensUsed", "tokenCount", "scorecard", "cardinality", "passwordless", "pass", "passed", "secretary", "key", "keyId",
		"api", "apiVersion", "apiKeynote", "monkey", "keyboard", "accessLevel", "cookieless", "authorized", "author", "authorId", "session", "lesson",
		"classname", "assn", "pinned", "accountNumber", "taxId", "reportType", "amount", "cardType", "customerNumber", "email", "name", "tokenizer", "tokens used", "tokenType",
		"passport", "compass", "api keyboard", "apiKeyboard", "compassWord", "bypass_word", "pass wordy", "toKenType", "map_inner", "spin", "topIn",
		"passwordPolicy", "api_key_count", "credentialProvider", "cookiePolicyVersion", "creditCardBrand", "PIN_COUNT", "cookieStatus",
		"capikeys", "CAPIKEYS", "CAPI_KEYS", "CapiKeys", "accessKeynote", "APIKeyboard", "AWSAPIKeynote", "SPIN", "SPINs", "SPINRate", "AWSAPI",
	}
	m := New(Default())
	for range 2 { // the second time from memory
		for _, key := range secrets {
			if m.SecrecyOf(key) == NotSecret {
				t.Errorf("%q is not secret", key)
			}
		}
		for _, key := range public {
			if m.SecrecyOf(key) != NotSecret {
				t.Errorf("%q is secret", key)
			}
		}
	}
	if none := New([]string{}); none.SecrecyOf("password") != NotSecret {
		t.Error("an empty list names something")
	}
	own := New(append(Default(), "employee number", "salary", "account type", "plan=", "sub plan=", " ", "=", " -="))
	for key, want := range map[string]bool{"employeeNumber": true, "employee": false, "salaryLimit": true, "accountType": true, "accountTypeCount": true, "apiKeyLimit": false, "plan": true, "oldPlan": true, "planName": false, "subplan": true, "subplanName": false, "password": true, "other": false} {
		if (own.SecrecyOf(key) == Secret) != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
}

// The entry is named, not the key, which may hold what a caller has sent.
func TestEntryOf(t *testing.T) {
	t.Parallel()
	m := New(append(Default(), "tax id"))
	for key, want := range map[string]string{
		"jane@acme.test password": "password", "apiKey_sk_live_51H": "api key", "csrfToken": "token=", "taxIDs": "tax id", "passwordPolicy": "", "name": "",
	} {
		if got := m.EntryOf(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// An entry of the default list is one however it is spelled.
func TestSpellingOfDefaults(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"api key", "api-key", "API keys", "ApiKey"} {
		m := New([]string{entry})
		if m.SecrecyOf("apiKeyCount") != NotSecret || m.SecrecyOf("apiKeyValue") != Secret {
			t.Errorf("%q: apiKeyCount %v, apiKeyValue %v", entry, m.SecrecyOf("apiKeyCount"), m.SecrecyOf("apiKeyValue"))
		}
	}
}

// The default entry token= is not token, which an app may add because it matches more.
func TestTokenIsNoDefault(t *testing.T) {
	t.Parallel()
	m := New(append(Default(), "token"))
	for _, key := range []string{"tokenType", "token_status", "tokenVersion"} {
		if m.SecrecyOf(key) != Secret {
			t.Errorf("%s is not secret", key)
		}
	}
}

// An entry matches singular and plural, and may be either.
func TestPlurals(t *testing.T) {
	t.Parallel()
	for entry, keys := range map[string]struct{ secret, public []string }{
		"salary":        {[]string{"salary", "salaries", "monthlySalaries", "SALARIES", "salariesPaid"}, []string{"salaried", "celery"}},
		"address":       {[]string{"address", "addresses", "home_addresses", "addressesOf"}, []string{"addressee", "dress"}},
		"home address":  {[]string{"homeAddresses", "homeaddresses", "HOMEADDRESSES", "homeaddress"}, []string{"homeaddressee"}},
		"base salary":   {[]string{"basesalaries", "BASESALARIES", "baseSALaries"}, []string{"basesalaried"}},
		"base salaries": {[]string{"basesalary", "baseSalary", "basesalaries"}, nil},
		"taxes":         {[]string{"tax", "taxes", "TaxesPaid", "taxID"}, []string{"taxi", "taxis", "syntaxes"}},
		"bonus":         {[]string{"bonus", "bonuses", "yearlyBonuses"}, []string{"bonsai"}},
		"cookies":       {[]string{"cookie", "cookies", "SetCookie"}, []string{"cook", "cooks"}},
		"licence":       {[]string{"licence", "licences"}, []string{"licensee"}},
		"pass word":     {[]string{"passwords", "passWord", "pass-words"}, []string{"passes", "wordPasses"}},
		"hash":          {[]string{"hash", "hashes", "fileHashes"}, []string{"hashed"}},
		"batch":         {[]string{"batch", "batches", "BATCHES"}, []string{"batched"}},
		"box":           {[]string{"box", "boxes"}, []string{"boxed"}},
		"pass":          {[]string{"pass", "passes"}, []string{"passed"}},
		"phrase":        {[]string{"phrase", "phrases", "pHRASE", "phRases"}, []string{"phrased"}},
	} {
		m := New([]string{entry})
		for _, key := range keys.secret {
			if m.SecrecyOf(key) != Secret {
				t.Errorf("%q: %q is not secret", entry, key)
			}
		}
		for _, key := range keys.public {
			if m.SecrecyOf(key) != NotSecret {
				t.Errorf("%q: %q is secret", entry, key)
			}
		}
	}
}

// What is remembered of keys is bounded, as callers may choose them. One that is too long
// to be remembered may still be secret.
func TestKnownKeys(t *testing.T) {
	t.Parallel()
	m := New(Default())
	for i := range 2 * maxKnownKeys {
		for _, length := range []int{1, maxKnownKeyBytes, 10_000} {
			key := strings.Repeat("k", length) + strconv.Itoa(i) + " password"
			if m.SecrecyOf(key) != Secret {
				t.Errorf("%.20q is not secret", key)
			}
		}
	}
	n := 0
	m.known.Range(func(key, _ any) bool {
		if n++; len(key.(string)) > maxKnownKeyBytes {
			t.Errorf("remembers a key of %d bytes", len(key.(string)))
		}
		return true
	})
	if n != maxKnownKeys {
		t.Errorf("remembers %d keys, want %d", n, maxKnownKeys)
	}
}

// Entries of an app's own are found with digits, behind an acronym, and at the end, where
// only the bare tokens are a count.
func TestEntriesOfOnesOwn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		entry, key string
		want       Secrecy
	}{
		{"2fa", "user2FA", Secret},
		{"2fa", "userFA", NotSecret},
		{"api key=", "AWSAPIKey", Secret},
		{"api key=", "AWSAPIKeyName", NotSecret},
		{"reset token=", "resetTokens", Secret},
		{"token=", "resetTokens", SecretUnlessNumber},
		{"token=", "resetToken", Secret},
	} {
		if got := New([]string{test.entry}).SecrecyOf(test.key); got != test.want || !HasWord(test.entry) {
			t.Errorf("%s, %s: %v", test.entry, test.key, got)
		}
	}
	if HasWord(" -=") {
		t.Error("an entry without a word has one")
	}
}
