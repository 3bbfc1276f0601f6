# R as referee: one line per data set and quantity, as CSV on the standard output.
# Standard input: CSV with the columns dataset, days, event, arm (0, 1), stratum, horizon (days).
library(survival)

month <- 30.4375
answer <- function(dataset, quantity, value) {
  cat(sprintf("%s,%s,%s\n", dataset, quantity, format(unname(value), digits = 15)))
}

limits <- function(fit) {
  found <- summary(fit)$table
  c(found[["median"]], found[["0.95LCL"]], found[["0.95UCL"]])
}

one_arm <- function(name, rows, arm) {
  mine <- rows[rows$arm == arm, ]
  loglog <- survfit(Surv(days, event) ~ 1, mine, conf.type = "log-log")
  default <- survfit(Surv(days, event) ~ 1, mine)
  reverse <- survfit(Surv(days, 1 - event) ~ 1, mine, conf.type = "log-log")
  for (m in c(6, 12, 18, 24)) {
    # Beyond the last observation R repeats its last value if asked; here it says nothing.
    estimate <- summary(default, times = m * month, extend = TRUE)$surv
    ended <- m * month > max(mine$days) && estimate > 0
    answer(name, sprintf("km_%d.%d", m, arm), if (ended) NA else estimate)
  }
  for (part in 1:3) {
    suffix <- c("", "_low", "_high")[part]
    answer(name, sprintf("median%s.%d", suffix, arm), limits(loglog)[part])
    answer(name, sprintf("followup%s.%d", suffix, arm), limits(reverse)[part])
    if (part > 1) {
      answer(name, sprintf("median%s_default.%d", suffix, arm), limits(default)[part])
      answer(name, sprintf("median%s_log.%d", suffix, arm), limits(default)[part])
    }
  }
  answer(name, sprintf("rmst.%d", arm), summary(default, rmean = rows$horizon[1])$table[["rmean"]])
}

two_arms <- function(name, rows) {
  formula <- if (length(unique(rows$stratum)) > 1) {
    Surv(days, event) ~ arm + strata(stratum)
  } else {
    Surv(days, event) ~ arm
  }
  answer(name, "log_rank", survdiff(formula, rows)$chisq)
  for (ties in c("efron", "breslow")) {
    fit <- coxph(formula, rows, ties = ties)
    answer(name, sprintf("cox_%s_beta", ties), coef(fit))
    answer(name, sprintf("cox_%s_se", ties), sqrt(diag(vcov(fit))))
  }
  fit <- coxph(formula, rows)
  answer(name, "zph_km", cox.zph(fit)$table["arm", "chisq"])
  answer(name, "zph_identity", cox.zph(fit, transform = "identity")$table["arm", "chisq"])
}

cat("dataset,quantity,value\n")
everything <- read.csv(file("stdin"))
for (name in unique(everything$dataset)) {
  rows <- everything[everything$dataset == name, ]
  for (arm in 0:1) one_arm(name, rows, arm)
  two_arms(name, rows)
}
