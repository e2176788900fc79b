/**
 * Settles as `work` does, or after `ms` milliseconds with what `late` returns or throws. The work goes on by itself; what
 * it comes to afterwards is not looked at.
 */
export async function within<T, L>(ms: number, work: Promise<T>, late: () => L): Promise<T | L> {
  const limit = Promise.withResolvers<L>();
  const timer = setTimeout(() => {
    try {
      limit.resolve(late());
    } catch (error) {
      limit.reject(error);
    }
  }, ms);
  try {
    return await Promise.race([work, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}
