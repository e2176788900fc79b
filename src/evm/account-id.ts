/** The number that rows of transactions name an account by; chain and address are the first two parameters. */
export const ACCOUNT_ID = '(SELECT id FROM evm_accounts WHERE chain = $1 AND address = $2)';
