// The names of what the journal keeps; docs/operating.md says what each one means.
export const NAMES = [
  "batch_halved", "batch_lost", "batch_refused", "batch_settled", "call_refused", "configuration_doubted", "discarded", "erased",
  "goal_created", "journal_dropped", "loop_failed", "refused", "reload_failed", "reloaded", "replayed", "report_odd",
  "report_recounted", "row_died", "sign_in_failed", "signed_in", "signed_out", "skipped", "started", "stopped", "stopping",
  "traces_dropped", "trouble_cleared", "trouble_raised",
];
