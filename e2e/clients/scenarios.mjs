// The calls that are made with Klime's browser SDK, on Node and in a browser. ../browsersdk_test.go makes the same calls with our client.
// `connection` is { writeKey, endpoint }. run(SCENARIO) returns what the SDK has told its caller.
export function scenariosWith(KlimeClient, connection) {
  // `answers` were passed to onSuccess, and `failures` to onError. `returned` and `thrown` are from the Sync calls.
  const report = { answers: [], failures: [], returned: [], thrown: [], logged: [] };

  const log = (level) => (message) => report.logged.push({ level, message: String(message) });

  function newClient(options) {
    return new KlimeClient({
      ...connection,
      retryInitialDelay: 10,
      logger: { debug() {}, info() {}, warn: log("warn"), error: log("error") },
      onSuccess: (answer) => report.answers.push(answer),
      onError: (error, events) => report.failures.push({ message: error.message, events: events.length }),
      ...options,
    });
  }

  // Nothing is sent before flush, so that the requests are the same in every run.
  const byHand = { maxBatchSize: 100, flushInterval: 3_600_000 };

  async function sync(promise) {
    try {
      report.returned.push(await promise);
    } catch (error) {
      report.thrown.push({ name: error.name, message: error.message, events: error.events?.length ?? -1 });
    }
  }

  const scenarios = {
    async readme() {
      const client = newClient(byHand);

      // Quick Start
      client.identify("user_123", { email: "user@example.com", name: "Stefan" });
      client.track("Button Clicked", { buttonName: "Sign up", plan: "pro" }, { userId: "user_123" });
      client.group("org_456", { name: "Acme Inc", plan: "enterprise" }, { userId: "user_123" });
      client.group("org_456", null, { userId: "user_123" });

      // Methods
      client.track("Events Received", { count: 100, source: "webhook" }, { groupId: "org_456" });
      client.group("org_456", { plan: "enterprise", employeeCount: 50 });

      // Installation Prompt
      client.identify("usr_abc123", { email: "jane@acme.com", name: "Jane Smith" });
      client.track("Report Generated", { report_type: "revenue" }, { userId: "usr_abc123" });
      client.group("org_456", { name: "Acme Inc", plan: "enterprise" }, { userId: "usr_abc123" });

      // A user of two groups: an event names the one in which it happened
      client.group("org_789", { name: "Globex" }, { userId: "user_123" });
      client.track("Teammate Invited", { role: "member" }, { userId: "user_123", groupId: "org_789" });

      // Events before anything is known about their user and group
      client.track("Feature Used", { feature: "export", format: "csv" }, { userId: "usr_early" });
      client.track("Import Finished", { rows: 7 }, { groupId: "org_late" });
      client.group("org_late", { name: "Late Ltd" }, { userId: "usr_early" });
      client.identify("usr_early", { email: "early@late.example" });

      // A group without a group() call is no customer
      client.track("Cron Finished", { job: "nightly" }, { groupId: "org_unknown" });

      // Without properties and traits
      client.track("Dashboard Opened", undefined, { userId: "usr_abc123" });
      client.track("Dashboard Closed", null, { userId: "usr_abc123" });
      client.track("Dashboard Shared", {}, { userId: "usr_abc123" });
      client.identify("usr_bare");
      client.identify("usr_bare", null);
      client.group("org_bare");

      // Traits are merged
      client.identify("user_123", { name: "Stefan K.", admin: true });

      // Every kind of value
      client.track(
        "Values Recorded",
        {
          text: 'Zoë 😀 "quoted" \\ / <b>&amp;</b> \u2028 \u0007 \n\t',
          empty: "",
          yes: true,
          no: false,
          nothing: null,
          zero: 0,
          integer: -42,
          decimal: 0.1,
          largest: Number.MAX_SAFE_INTEGER,
          huge: 1e21,
          tiny: 1e-7,
          date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
          list: [1, "two", null, { three: 3 }, []],
          object: { a: { b: { c: {} } } },
        },
        { userId: "usr_values" },
      );
      await client.flush();

      await sync(client.trackSync("Invoice Paid", { amount: 12.5 }, { userId: "user_123", groupId: "org_456" }));
      await sync(client.identifySync("usr_sync", { email: "sync@globex.example" }));
      await sync(client.groupSync("org_789", { plan: "pro" }, { userId: "usr_sync" }));
      await sync(client.trackSync("Invoice Sent", undefined, { groupId: "org_789" }));

      client.track("Session Ended", { seconds: 90 }, { userId: "usr_abc123" });
      await client.shutdown();

      // Ignored
      client.track("Called Late", {}, { userId: "user_123" });
      await client.flush();
      await sync(client.trackSync("Called Late", {}, { userId: "user_123" }));
    },

    async volume() {
      const client = newClient();
      client.group("org_1", { name: "Acme Inc" }, { userId: "user_1" });
      for (let n = 1; n <= 250; n++) {
        client.track("Row Added", { n }, { userId: "user_1" });
      }
      await client.shutdown();
    },

    async refused() {
      const client = newClient(byHand);
      client.track("No Identity Given", { n: 1 });
      client.track("", { n: 2 }, { userId: "user_1" });
      client.track("Report Generated", { n: 3 }, { userId: "user_1" });
      client.identify("", { n: 4 });
      client.group("", { n: 5 }, { userId: "user_1" });
      await client.shutdown();
    },

    async limit() {
      const client = newClient(byHand);
      const track = (length, character = "x") => {
        client.track("File Saved", { pad: character.repeat(length) }, { userId: "user_1" });
      };
      track(0);
      const rest = 200 * 1024 - JSON.stringify(client.queue.at(-1)).length;
      track(rest);
      track(rest + 1);
      track(150_000, "é"); // 300,000 bytes
      await client.shutdown();
    },

    async one() {
      const client = newClient(byHand);
      client.track("Report Generated", { n: 1 }, { userId: "user_1" });
      client.track("Report Generated", { n: 2 }, { userId: "user_1" });
      await client.shutdown();
    },

    async oneSync() {
      await sync(newClient(byHand).trackSync("Report Generated", { n: 1 }, { userId: "user_1" }));
    },
  };

  return async (name) => {
    await scenarios[name]();
    return report;
  };
}
