/* SPDX-License-Identifier: MIT */
#include "app/audit_view.h"

static void
write_finding(struct json_writer *w, int number, const struct audit_finding *f)
{
	json_begin_object(w, NULL);
	json_int64(w, "invariant", number);
	json_text(w, "title", audit_title(number));
	json_int64(w, "checked", f->checked_count);
	json_int64(w, "violations", f->violations_count);
	json_begin_array(w, "reported");
	for (size_t i = 0; i < audit_reported_count(f); i++) {
		json_begin_object(w, NULL);
		json_text(w, "problem", f->violation[i].problem);
		json_uuid(w, "id", &f->violation[i].id);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

void
view_audit(struct json_writer *w, const struct audit *audit)
{
	json_begin_object(w, NULL);
	json_bool(w, "ok", audit_is_clean(audit));
	json_bool(w, "database_whole", audit->is_whole);
	json_begin_array(w, "invariants");
	for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++)
		if (audit_title(n) != NULL)
			write_finding(w, n, &audit->invariant[n]);
	json_end_array(w);
	json_end_object(w);
}
