/** Tells the parent what this process took so far. */
export function tellUsage(): void {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  process.send?.({ maxRss: maxRSS * 1_024, cpu: (userCPUTime + systemCPUTime) / 1_000 });
}
