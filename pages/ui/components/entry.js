// What a page does before Streamlit's own scripts run.
{
  // Where the server is: without it a deep link looks for it below its own address first, and complains.
  const served = new URL("./", location.href).href;
  Object.assign(window, { __streamlit: { BACKEND_BASE_URL: served } });

  // Streamlit adds a step to the browser's history with every change of the address, also within a page, so that Back
  // would have to be pressed once for every choice made there. Within a page the address is changed in place instead.
  const push = history.pushState.bind(history);
  history.pushState = (state, title, url) => {
    const here = url ? new URL(url, location.href).pathname === location.pathname : true;
    if (here) history.replaceState(state, title, url);
    else push(state, title, url);
  };
}
